"""Predicates that others defined and vetted: SLSA provenance and verification summary, in-toto's result of a test.

Laws: as of registry.attest.predicates.
Source: SLSA 1.0, provenance.md; SLSA 1.1, verification_summary.md; in-toto attestation framework,
spec/predicates/test-result.md.
"""

from typing import Any, ClassVar, Literal

from pydantic import Field

from registry.attest.predicates import Predicate, PredicatePart, Text, Time


class Resource(PredicatePart):
    """Something named by where it is and what it holds (in-toto ResourceDescriptor)."""

    uri: Text | None = None
    """Where it is: a purl, a git+https URL, an hf:// reference."""
    name: Text | None = None
    """Its name in this build, such as `params.yaml`."""
    digest: dict[str, Text]
    """Digests by algorithm: `sha256`, `gitCommit`."""
    annotations: dict[str, Any] | None = None
    """Further facts, for a reader rather than a verifier."""


class BuildDefinition(PredicatePart):
    """The inputs of a build."""

    build_type: Text
    """The URI that says how to run such a build."""
    external_parameters: dict[str, Any]
    """What the person who started it chose."""
    internal_parameters: dict[str, Any] = Field(default_factory=dict)
    """What the builder set."""
    resolved_dependencies: tuple[Resource, ...] = ()
    """Everything that went in, by digest."""


class Builder(PredicatePart):
    """Who ran the build."""

    id: Text
    """The URI of the builder: of the machine or service that is trusted to have run it as described."""
    version: dict[str, Text] | None = None
    """Versions of the builder's parts by their name."""


class BuildMetadata(PredicatePart):
    """When and under which name it ran."""

    invocation_id: Text | None = None
    """The name of this run, such as an MLflow run id."""
    started_on: Text | None = None
    """RFC 3339, UTC."""
    finished_on: Text | None = None
    """RFC 3339, UTC."""


class RunDetails(PredicatePart):
    """One run of a build."""

    builder: Builder
    """Who ran it."""
    metadata: BuildMetadata | None = None
    """When, and under which name."""
    byproducts: tuple[Resource, ...] = ()
    """What it left besides its subjects: logs, metrics, checkpoints."""


class Provenance(Predicate):
    """How the subjects were made (SLSA 1.0)."""

    TYPE = "https://slsa.dev/provenance/v1"

    build_definition: BuildDefinition
    """The inputs."""
    run_details: RunDetails
    """The run."""


class TestResult(Predicate):
    """How the subjects did in a test (in-toto 0.1). For us: how the weights compare with what knows no context; and, in
    a statement of its own, which tasks of lm-evaluation-harness they were put through."""

    TYPE = "https://in-toto.io/attestation/test-result/v0.1"
    __test__: ClassVar[bool] = False  # no test of pytest's, whatever its name

    result: Literal["PASSED", "WARNED", "FAILED"]
    """FAILED: no better than guessing. WARNED: no better than counting tokens. PASSED: better than both. For tasks of
    the harness, PASSED: each was run over all its documents. WARNED: one was over a part of them."""
    configuration: tuple[Resource, ...]
    """What it was measured with: parameters and tokens; and evaluation.json or harness.json, with the figures in its
    annotations."""
    url: Text | None = None
    """Where the run can be looked up."""
    passed_tests: tuple[Text, ...] = ()
    """Names of the tests that passed, such as `bitsPerByte < baselines.unigram.bitsPerByte`, and of tasks that were run
    whole."""
    warned_tests: tuple[Text, ...] = ()
    """Those that passed with a warning."""
    failed_tests: tuple[Text, ...] = ()
    """Those that failed."""


class SummaryVerifier(PredicatePart):
    """Who verified."""

    id: Text
    """The URI of the verifier. Whoever goes by a summary accepts it only by the signer that they expect for it."""


class VerificationSummary(Predicate):
    """That the subjects were verified, by which policy, and what came out (SLSA 1.1)."""

    TYPE = "https://slsa.dev/verification_summary/v1"

    verifier: SummaryVerifier
    """Who verified."""
    time_verified: Time
    """When."""
    resource_uri: Text
    """What the subjects were verified as: the release, such as `hf://org/model@v1.0.0`."""
    policy: Resource
    """What was asked of them: its format as a URI, and its SHA-256."""
    input_attestations: tuple[Resource, ...] = ()
    """Every attestation that was looked at, by its place in the release, or where it came from, and its SHA-256."""
    verification_result: Literal["PASSED", "FAILED"]
    """PASSED: every check passed. FAILED: at least one does not hold. What could not be checked has no summary."""
    verified_levels: tuple[Text, ...]
    """The SLSA levels that were verified, one for each track; `FAILED` where the result is."""
    slsa_version: Text | None = None
    """The version of SLSA that the levels are of."""
