"""What only its provider knows of a model, for the public summary of its training content: `eu` of a `release` section.

Source: Regulation (EU) 2024/1689, Art. 53(1)(d), and the template of the Commission, annex to C(2025) 5235 of 24 July
2025, whose sections the fields follow.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from registry.records.record import Count, ParamsSection

Answer = Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
"""In the provider's words."""
Answers = Annotated[tuple[Answer, ...], Field(max_length=1000)]
Month = Annotated[str, StringConstraints(pattern=r"^(0[1-9]|1[0-2])/[0-9]{4}$")]
"""MM/YYYY, as the template asks."""
Day = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
"""YYYY-MM-DD."""
Modality = Literal["text", "image", "audio", "video", "other"]
Modalities = tuple[Modality, ...]


class ModalityContent(ParamsSection):
    """Section 1.3: what there is of one modality."""

    amount: Count | None = None
    """How much: tokens of text, images, hours of audio or video; of text the records count, where they do."""
    types: Answer | None = None
    """Which types of content."""


class PublicDataSets(ParamsSection):
    """Section 2.1: data sets that others compiled and that are free for all."""

    used: bool | None = None
    """Whether there are any, where the data manifest does not show them."""
    modalities: Modalities = ()
    """What they hold."""
    names: Answers = ()
    """Those that the data manifest does not name: name, link, and when they were collected."""
    others: Answer | None = None
    """The smaller ones, in general."""
    comments: Answer | None = None
    """What else there is to say."""


class LicensedData(ParamsSection):
    """Section 2.2.1: data under a commercial licence of its rightsholders."""

    agreements: bool | None = None
    """Whether there are such agreements."""
    modalities: Modalities = ()
    """What the data holds."""


class ThirdPartyData(ParamsSection):
    """Section 2.2.2: private data sets from others."""

    obtained: bool | None = None
    """Whether there are any."""
    modalities: Modalities = ()
    """What they hold."""
    names: Answers = ()
    """Those that are publicly known."""
    description: Answer | None = None
    """The others, in general."""
    comments: Answer | None = None
    """What else there is to say."""


class CrawledData(ParamsSection):
    """Section 2.3: what was crawled and scraped."""

    used: bool | None = None
    """Whether there is any."""
    crawlers: Answers = ()
    """What the crawlers are called."""
    purposes: Answer | None = None
    """What they are for."""
    behaviour: Answer | None = None
    """How they behave: robots.txt, paywalls, captchas."""
    begin: Month | None = None
    """When collecting began."""
    end: Month | None = None
    """When it ended."""
    content: Answer | None = None
    """What was collected, from which kinds of sites."""
    modalities: Modalities = ()
    """What it holds."""
    domains: Answers = ()
    """The top 10 % of domains by size; of a small or medium enterprise the top 5 %, or 1,000."""
    comments: Answer | None = None
    """What else there is to say."""


class UserData(ParamsSection):
    """Section 2.4: what users left."""

    interactions: bool | None = None
    """Whether what users said to the model is used."""
    other_services: bool | None = None
    """Whether what users of other services of the provider left is used."""
    services: Answer | None = None
    """Which services."""
    modalities: Modalities = ()
    """What it holds."""
    comments: Answer | None = None
    """What else there is to say."""


class SyntheticData(ParamsSection):
    """Section 2.5: what models made."""

    used: bool | None = None
    """Whether there is any."""
    modalities: Modalities = ()
    """What it holds."""
    models: Answers = ()
    """The models on the market that made it, with links to their summaries."""
    other_models: Answer | None = None
    """Other models that made it, and what they were trained on."""
    comments: Answer | None = None
    """What else there is to say."""


class OtherData(ParamsSection):
    """Section 2.6: data from elsewhere."""

    used: bool | None = None
    """Whether there is any, beside what the data manifest shows."""
    description: Answer | None = None
    """What it is, and where it is from."""
    comments: Answer | None = None
    """What else there is to say."""


class OptOut(ParamsSection):
    """Section 3.1: reservations of rights from text and data mining."""

    signatory: bool | None = None
    """Whether the provider signed the code of practice."""
    measures: Answer | None = None
    """How reservations were respected, before and while data was collected."""
    comments: Answer | None = None
    """What else there is to say."""


class Eu(ParamsSection):
    """What a provider says for the public summary of training content."""

    provider: Answer | None = None
    """1.1: name and contact."""
    representative: Answer | None = None
    """1.1: name and contact of the authorised representative, of a provider outside the Union."""
    dependencies: Answer | None = None
    """1.2: the model that this one was made from, with a link to its summary; what the records name is told anyway."""
    placed_on_market: Day | None = None
    """1.2: when it was placed on the market of the Union."""
    modalities: dict[Modality, ModalityContent] = Field(default_factory=dict)
    """1.3: what there is of each modality."""
    collected_until: Month | None = None
    """1.3: when the newest data was collected."""
    continuous: bool | None = None
    """1.3: whether training goes on with new data."""
    characteristics: Answer | None = None
    """1.3: languages in words, regions, whom the data shows."""
    comments: Answer | None = None
    """1.3: what else there is to say."""
    public: PublicDataSets = Field(default_factory=PublicDataSets)
    """2.1."""
    licensed: LicensedData = Field(default_factory=LicensedData)
    """2.2.1."""
    third_party: ThirdPartyData = Field(default_factory=ThirdPartyData)
    """2.2.2."""
    crawled: CrawledData = Field(default_factory=CrawledData)
    """2.3."""
    user: UserData = Field(default_factory=UserData)
    """2.4."""
    synthetic: SyntheticData = Field(default_factory=SyntheticData)
    """2.5."""
    other: OtherData = Field(default_factory=OtherData)
    """2.6."""
    opt_out: OptOut = Field(default_factory=OptOut)
    """3.1."""
    illegal_content: Answer | None = None
    """3.2: how illegal content was avoided or removed."""
    other_information: Answer | None = None
    """3.3: what else was done with the data."""
