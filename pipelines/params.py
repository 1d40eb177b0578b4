"""A frozen, strict view of params.yaml.

Law: what `load` returns satisfies every bound below; anything else (an unknown key, a key twice, a number out of its
bounds, text where a number belongs) is an InputError that names the key.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from registry import canonical, strict_yaml
from registry.errors import InputError
from registry.records import folders
from registry.records.base_record import ChosenBase
from registry.records.data_manifest import TABLE, RowsForm, SourceStatus
from registry.records.harness import NAME as HARNESS
from registry.records.harness import HarnessSettings
from registry.records.record import validated

PATH = Path("params.yaml")
MAX_BYTES = 256 << 10

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Repo = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?$")
]
Glob = Annotated[str, StringConstraints(pattern=r"^[^/\\\x00-\x1f][^\\\x00-\x1f]{0,499}$")]
Licence = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.+() -]{1,500}$")]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s\x00-\x1f]{1,1000}$")]


class Section(BaseModel):
    """A part of params.yaml: no key more, no key less, nothing changed after reading."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Installed(Section):
    """Source files of an installed package, each checked against the digest in its wheel's RECORD."""

    kind: Literal["installed"]
    package: Name
    """The distribution's name, as `pip list` shows it."""
    version: Name
    """The one version that will do."""
    include: tuple[Glob, ...] = Field(default=("**/*.py",), min_length=1, max_length=100)
    """Globs over the paths in RECORD; `*` stays within a folder, `**` does not."""
    exclude: tuple[Glob, ...] = Field(default=(), max_length=100)
    """Globs of what to leave out all the same."""
    status: SourceStatus = "exact"
    """How others get it: `exact`, `rebuildable`, or `withdrawn`."""

    @property
    def id(self) -> str:
        """The package URL: what the manifest calls this source."""
        return f"pkg:pypi/{self.package.lower().replace('_', '-')}@{self.version}"


class Files(Section):
    """Files of this project."""

    kind: Literal["files"]
    name: Name
    include: tuple[Glob, ...] = Field(min_length=1, max_length=100)
    """Globs under the project's root. Names that start with a dot are never met."""
    exclude: tuple[Glob, ...] = Field(default=(), max_length=100)
    license: Licence
    """SPDX expression that covers them all."""
    url: Url
    """Where they come from."""
    status: SourceStatus = "rebuildable"
    """How others get it: `exact`, `rebuildable`, or `withdrawn`."""

    @property
    def id(self) -> str:
        """What the manifest calls this source."""
        return f"files:{self.name}"


Column = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class RowFiles(Section):
    """Rows of files of this project: `.jsonl`, `.csv` with a first line of names, or `.parquet`."""

    kind: Literal["rows"]
    name: Name
    include: tuple[Glob, ...] = Field(min_length=1, max_length=100)
    """Globs under the project's root. Names that start with a dot are never met."""
    exclude: tuple[Glob, ...] = Field(default=(), max_length=100)
    text: Column = "text"
    """The column that holds the text."""
    messages: Column | None = None
    """The column that holds a chat, instead: a list of messages, each with a role and a content. `corpus.chat_template`
    makes one text of it."""
    license: Licence | None = None
    """SPDX expression for every row, or else `license_column`."""
    license_column: Column | None = None
    origin_column: Column | None = None
    """The column that says where a row comes from, such as a URL."""
    url: Url
    """Where they come from."""
    status: SourceStatus = "rebuildable"
    """How others get it: `exact`, `rebuildable`, or `withdrawn`."""

    @property
    def id(self) -> str:
        """What the manifest calls this source."""
        return f"files:{self.name}"

    @model_validator(mode="after")
    def _one_licence(self) -> Self:
        _demand_one(self.license, self.license_column)
        return self


class HuggingFace(Section):
    """One configuration of a data set on the Hugging Face Hub, at one commit."""

    kind: Literal["huggingface"]
    dataset: Repo
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
    """Not a branch or a tag: those move."""
    config: Name | None = None
    splits: tuple[Name, ...] = Field(default=("train",), min_length=1, max_length=20)
    text: Column = "text"
    """The column that holds the text."""
    messages: Column | None = None
    """The column that holds a chat, instead: a list of messages, each with a role and a content. `corpus.chat_template`
    makes one text of it."""
    license: Licence | None = None
    """SPDX expression for every row, or else `license_column`."""
    license_column: Column | None = None
    origin_column: Column | None = None
    """The column that says where a row comes from, such as a URL."""
    status: SourceStatus = "exact"
    """How others get it: `exact`, `rebuildable`, or `withdrawn`."""
    limit: int | None = Field(default=None, ge=1)
    """At most this many rows of each split."""

    @property
    def id(self) -> str:
        """What the manifest calls this source."""
        return f"hf://datasets/{self.dataset}@{self.commit}" + (f"#{self.config}" if self.config else "")

    @model_validator(mode="after")
    def _one_licence(self) -> Self:
        _demand_one(self.license, self.license_column)
        return self


Source = Annotated[Installed | Files | RowFiles | HuggingFace, Field(discriminator="kind")]


class Filters(Section):
    """Which documents are used."""

    min_bytes: int = Field(ge=1, le=1 << 20)
    max_bytes: int = Field(ge=1, le=16 << 20)
    licenses: tuple[Licence, ...] = Field(min_length=1, max_length=200)
    """SPDX licences, each alone. `A OR B` is allowed where one of them is, `A AND B` where both are."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min_bytes > self.max_bytes:
            raise ValueError("min_bytes is more than max_bytes")
        return self


class NearDuplicates(Section):
    """The first stays of documents that are nearly alike. How alike two are is estimated by MinHash over runs of words
    (Broder, 1997), and which to compare is found by LSH, both by datasketch."""

    threshold: float = Field(default=0.8, ge=0.5, le=1)
    """The share of runs of words that two have in common, from which on they are nearly alike."""
    words: int = Field(default=5, ge=1, le=20)
    """Words in a run."""
    permutations: int = Field(default=128, ge=16, le=1024)
    """Numbers in a signature: more of them estimate better, and take longer."""


class Quality(Section):
    """What a text must be like. Each rule that is given is asked in this order, and what it leaves out is counted.

    Source: Rae et al., Scaling Language Models (Gopher), appendix A1.1."""

    min_words: int | None = Field(default=None, ge=1)
    """Fewer words: `few-words`."""
    max_words: int | None = Field(default=None, ge=1)
    """More words: `many-words`."""
    min_word_length: float | None = Field(default=None, gt=0)
    """A mean length of words below this: `word-length`."""
    max_word_length: float | None = Field(default=None, gt=0)
    """A mean length of words above this: `word-length`."""
    max_symbols: float | None = Field(default=None, ge=0, le=1)
    """More `#` and `...` to a word: `symbols`."""
    min_letters: float | None = Field(default=None, ge=0, le=1)
    """A smaller share of words with a letter: `letters`."""
    max_repeated_lines: float | None = Field(default=None, ge=0, le=1)
    """A larger share of lines that stand above already: `repeated-lines`."""


class Languages(Section):
    """Each document's language is told in its row, as py3langid finds it. Needs the extra `languages`."""

    allowed: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")], ...] = Field(default=(), max_length=200)
    """The languages that are kept, by their tags, such as `en`; `und` where nothing tells it. None: all are kept."""


class Decontamination(Section):
    """Documents that hold passages of the evaluation sets are left out.

    Source: Brown et al., Language Models are Few-Shot Learners, appendix C."""

    include: tuple[Glob, ...] = Field(min_length=1, max_length=100)
    """Globs under the project's root: the evaluation sets. A file of text is a passage; of `.jsonl`, `.csv` and
    `.parquet`, each row is one."""
    exclude: tuple[Glob, ...] = Field(default=(), max_length=100)
    """Globs of what to leave out all the same."""
    text: Column = "text"
    """The column that holds the passage."""
    words: int = Field(default=13, ge=3, le=50)
    """A run of so many words that both have is an overlap."""
    allowed: int = Field(default=0, ge=0)
    """So many such runs are let pass; the document's row tells of them."""


class Corpus(Section):
    """The documents."""

    sources: tuple[Source, ...] = Field(min_length=1, max_length=1000)
    filters: Filters
    quality: Quality | None = None
    """What a text must be like, beside that; None: nothing more is asked."""
    languages: Languages | None = None
    """Which languages documents may be in; None: nobody looks."""
    scrub: tuple[Literal["emails", "secrets"], ...] = Field(default=(), max_length=2)
    """What is replaced in texts: addresses of e-mail by `<EMAIL>`, keys and passwords that detect-secrets knows by
    `<SECRET>`. A row tells the digest of the original."""
    decontaminate: Decontamination | None = None
    """Which evaluation sets no document may hold; None: it is not asked."""
    near_duplicates: NearDuplicates | None = None
    """Whether documents that are nearly alike are left out; None: only those that are the same."""
    manifest: RowsForm = "jsonl"
    """In which form the rows of the data manifest are written: `jsonl`, or `parquet` where there are millions."""
    validation_fraction: float = Field(gt=0, lt=1)
    """The share of documents, chosen by their digests, that is kept from training."""
    chat_template: Annotated[str, StringConstraints(min_length=1, max_length=100_000)] | None = None
    """How a chat is written as one text: Jinja, as transformers has it. The model is released with it."""

    @model_validator(mode="after")
    def _no_source_twice(self) -> Self:
        if twice := _twice(source.id for source in self.sources):
            raise ValueError(f"the source {twice} stands twice")
        chats = [source.id for source in self.sources if isinstance(source, RowFiles | HuggingFace) and source.messages]
        if chats and self.chat_template is None:
            raise ValueError(f"{chats[0]} has messages, and no chat_template says how they are written")
        return self


class EngineSettings(Section):
    """What the stages of data run on. It changes no byte that they write, so no stage runs again where it changes."""

    kind: Literal["local", "ray"] = "local"
    """`local`: the cores of this machine. `ray`: a Ray cluster; it needs the extra `ray`."""
    address: Annotated[str, StringConstraints(pattern=r"^(auto|local|[A-Za-z0-9._-]{1,253}:[0-9]{1,5})$")] | None = None
    """Where the cluster is: HOST:PORT, or `auto` for the one that this machine is a node of. None: where RAY_ADDRESS
    says, or else one is started on this machine."""

    @model_validator(mode="after")
    def _of_a_cluster(self) -> Self:
        if self.address is not None and self.kind != "ray":
            raise ValueError("an address goes with the kind ray")
        return self


class Tokenizer(Section):
    """A byte-level BPE tokenizer."""

    vocabulary: int = Field(ge=257, le=1 << 20)
    """Tokens in all: 256 bytes, merges, and the end-of-text token."""
    sample_bytes: int = Field(ge=1)
    """About how many bytes of the train split to learn the merges from, chosen by the documents' digests."""


class Encode(Section):
    """Token shards."""

    shard_tokens: int = Field(ge=1024, le=1 << 30)
    """The most tokens in one file."""


Setting = bool | int | float | str | None


class Model(Section):
    """A causal language model of transformers."""

    architecture: Name
    """What transformers calls it: llama, mistral, qwen2, ... (`model_type` in its config.json)."""
    context: int = Field(ge=2, le=1 << 20)
    """Tokens it sees at once."""
    config: dict[Name, Setting | tuple[Setting, ...]] = Field(max_length=100)
    """Keys of the architecture's configuration class."""

    @model_validator(mode="after")
    def _ours(self) -> Self:
        ours = {"vocab_size", "max_position_embeddings", "bos_token_id", "eos_token_id", "dtype", "attn_implementation"}
        if clash := sorted(ours & self.config.keys()):
            raise ValueError(f"{clash[0]} follows from the tokenizer, the context and the profile")
        return self


class Adapter(Section):
    """Matrices of low rank beside those of the base, which stay as they are (LoRA, by peft): what is trained, and
    what is released. Source: Hu et al., LoRA (ICLR 2022)."""

    rank: int = Field(ge=1, le=4096)
    """The rank."""
    alpha: int = Field(ge=1, le=1_000_000)
    """What they add is scaled by alpha / rank."""
    targets: tuple[Name, ...] = Field(min_length=1, max_length=100)
    """The modules that get them, by the last part of their names: q_proj, v_proj, ..."""


class Torchrun(Section):
    """Several machines, by torchrun, which starts all processes anew where one or a whole node is lost."""

    processes: int | None = Field(default=None, ge=1, le=1 << 10)
    """Processes of each node; None: one a core, or one a GPU. The largest power of two of all processes trains."""
    least_nodes: int = Field(default=1, ge=1, le=1 << 12)
    """With fewer, it waits for more."""
    most_nodes: int = Field(default=1, ge=1, le=1 << 12)
    """When so many have come, it begins; when at least `least_nodes` have, after half a minute."""
    restarts: int = Field(default=3, ge=0, le=1000)
    """How often all processes are started anew before it gives up."""
    patience: int = Field(default=600, ge=1, le=1 << 20)
    """Seconds of silence after which a process takes another one for lost. A step, and a checkpoint, must take less."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.least_nodes > self.most_nodes:
            raise ValueError("least_nodes is more than most_nodes")
        return self


class Train(Section):
    """How the model is trained. A step takes `micro_batches` times `micro_batch_rows` rows of `context` tokens."""

    profile: Literal["portable", "native", "cuda"]
    """What the bits may depend on: pipelines.determinism."""
    steps: int = Field(ge=1, le=10_000_000)
    micro_batches: int = Field(ge=1, le=1 << 16)
    """A power of two; as many processes can work on one step."""
    micro_batch_rows: int = Field(ge=1, le=1 << 16)
    """Rows that are computed at once. Changes the bits."""
    learning_rate: float = Field(gt=0, le=10)
    """At the end of the warm-up, from where it falls along a cosine."""
    final_learning_rate: float = Field(ge=0, le=10)
    """At the last step."""
    warmup_steps: int = Field(ge=0)
    weight_decay: float = Field(ge=0, le=10)
    """The decay of matrices; vectors are not decayed."""
    beta1: float = Field(ge=0, lt=1)
    beta2: float = Field(ge=0, lt=1)
    clip_norm: float = Field(gt=0)
    """The longest gradient that a step takes."""
    checkpoint_every: int = Field(ge=1)
    """Steps between checkpoints, beside those at 0, 1, 2, 4, 8, ... and at the end."""
    validate_every: int = Field(ge=1)
    """Steps between measurements of the validation loss, beside one at the end."""
    validation_micro_batches: int = Field(ge=1, le=1 << 16)
    """How many micro-batches those take: a power of two, and no fewer than `micro_batches`."""
    adapter: Adapter | None = None
    """What is trained beside a base; None: every parameter is trained."""
    weights: Literal["float32", "bfloat16"] = "float32"
    """The numbers that the model computes with. `bfloat16`: each parameter is rounded from a float32 master, which is
    what is trained, kept and released, and moments are float32. Decides bits, and needs the profile native or cuda."""
    launch: Torchrun | None = None
    """How processes are started; None: on this machine alone, one a core. Changes no bit."""

    sharding: Literal["none", "fsdp"] = "none"
    """What each process holds: `none`, all parameters and the optimizer's state; `fsdp`, its share of them, for models
    that one device does not hold. Changes no bit."""

    activations: Literal["kept", "recomputed"] = "kept"
    """Whether what a layer computed on the way forward is kept for the way back, or computed anew there: about a third
    more time for much less memory. Changes no bit."""

    compile: bool = False
    """Whether torch.compile writes the kernels of each layer, in place of the profile's own. Decides bits: they are
    promised for one type of CPU and one C++ compiler. It needs the profile native or cuda, weights in float32,
    activations that are kept, no sharding and no adapter: for others nobody has shown that bits stay the same."""

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        unshown = {
            "the profile portable, whose bits no compiler decides": self.profile == "portable",
            "weights in bfloat16": self.weights == "bfloat16",
            "activations that are recomputed": self.activations == "recomputed",
            "sharding by fsdp": self.sharding == "fsdp",
            "an adapter": self.adapter is not None,
        }
        if self.compile and (amiss := next((what for what, holds in unshown.items() if holds), None)):
            raise ValueError(f"compile does not go with {amiss}")
        return self

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for name, number in (("", self.micro_batches), ("validation_", self.validation_micro_batches)):
            if number & (number - 1):
                raise ValueError(f"{number} {name}micro_batches is not a power of two")
        if self.weights == "bfloat16" and self.profile == "portable":
            raise ValueError("weights in bfloat16 go with the profile native or cuda: portable was proved in float32")
        if self.validation_micro_batches < self.micro_batches:
            raise ValueError("validation_micro_batches is less than micro_batches")
        if self.final_learning_rate > self.learning_rate:
            raise ValueError("final_learning_rate is more than learning_rate")
        return self

    @property
    def rows(self) -> int:
        """Rows in a step."""
        return self.micro_batches * self.micro_batch_rows

    def deciding(self) -> dict[str, Any]:
        """What decides the weights, as JSON: all but the settings that change no bit."""
        return self.model_dump(mode="json", exclude={"activations", "launch", "sharding"})


class Export(Section):
    """How the trained weights are laid into files. Changes no number of them."""

    shard_bytes: int = Field(default=5_000_000_000, ge=1)
    """The most bytes of tensors in one file, but for a tensor that alone has more. Where there are more, it is several
    files with an index, as transformers reads them. An adapter is always one file."""


class Evaluate(Section):
    """What evaluation shows beside its figures, and what else is measured."""

    prompt: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    """The model goes on with this text."""
    sample_tokens: int = Field(ge=1, le=10_000)
    """For so many tokens."""
    harness: HarnessSettings | None = None
    """Tasks of lm-evaluation-harness, as a stage of their own; None: the project has no such stage."""


class Params(Section):
    """All of params.yaml."""

    seed: int = Field(ge=0, le=canonical.MAX_SAFE_INTEGER)
    corpus: Corpus
    tokenizer: Tokenizer
    encode: Encode
    model: Model
    train: Train
    evaluate: Evaluate
    export: Export = Export()
    """How the trained weights are laid into files."""
    engine: EngineSettings = EngineSettings()
    """What the stages of data run on."""
    base: ChosenBase | None = None
    """The open model that training begins with; None: it begins with weights drawn from the seed."""
    release: dict[str, Any] = {}
    """Read by `glasshouse release`, which has its own law for it."""

    @model_validator(mode="after")
    def _harness_is_released(self) -> Self:
        if self.evaluate.harness is not None:
            self._demand_record(f"{folders.HARNESS}/{HARNESS}", "a release says how it did in the tasks")
        return self

    @model_validator(mode="after")
    def _manifest_is_released(self) -> Self:
        if self.corpus.manifest == "parquet":
            self._demand_record(f"{folders.CORPUS}/{TABLE}", "corpus.manifest says that the rows stand there")
        return self

    @model_validator(mode="after")
    def _base_fits(self) -> Self:
        if self.base is None:
            if self.train.adapter is not None:
                raise ValueError("train.adapter goes with a base")
            return self
        if self.model.config:
            raise ValueError("model.config is the base's own: leave it empty ({})")
        self._demand_record(folders.BASE_RECORD, "a release says what it is made of")
        return self

    def _demand_record(self, path: str, why: str) -> None:
        records = self.release.get("provenance")
        if isinstance(records, list) and path not in records:
            raise ValueError(f"release.provenance has to name {path}: {why}")


def load(path: Path = PATH) -> Params:
    """The parameters in the YAML file at `path`. Raises InputError for a file that breaks a bound, or is missing."""
    value = strict_yaml.read(path, max_bytes=MAX_BYTES)
    try:
        data = canonical.dumps(value)
    except InputError as problem:
        raise InputError(f"{path.name}: {problem.message}", mend=f"edit {path.name}") from problem
    with validated(path.name, mend=f"edit {path.name} (numbers such as 0.001 or 1.0e-3; YAML reads 1e-3 as text)"):
        # By way of JSON, because strict pydantic takes a list for a tuple there and nowhere else.
        return Params.model_validate_json(data)


def _demand_one(license: str | None, license_column: str | None) -> None:  # noqa: A002
    if (license is None) == (license_column is None):
        raise ValueError("give either license or license_column")


def _twice(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
