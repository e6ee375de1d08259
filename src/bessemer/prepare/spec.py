"""What a project file may say under `prepare:`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from bessemer.core.spec import Share, Spec

Method = Literal["random", "stratified", "time", "group", "given"]
Fit = Literal["stretch", "crop", "pad"]
Side = Annotated[int, Field(ge=1, le=1024)]


class SplitSpec(Spec):
    """How rows are split into train, valid and test. At most one of method, by, group and given."""

    method: Literal["random", "stratified"] | None = Field(
        None,
        description="random, or stratified (each class keeps its share in each part); "
        "stratified for classification and random for regression when nothing is said",
    )
    by: str | None = Field(
        None,
        description="a timestamp or number column: the earliest rows train, the next validate, the last test",
    )
    group: str | None = Field(
        None, description="a column whose values (customers, patients) are never split between parts"
    )
    given: str | None = Field(
        None,
        description="a text column that says train, valid or test for each row; without any valid row, "
        "some of train are drawn",
    )
    test: Annotated[Share, Field(gt=0, lt=1)] = Field(0.2, description="the share of rows in test")
    valid: Annotated[Share, Field(gt=0, lt=1)] = Field(0.15, description="the share of rows in valid")

    @model_validator(mode="after")
    def _consistent(self) -> SplitSpec:
        said = [word for word in ("method", "by", "group", "given") if getattr(self, word) is not None]
        if len(said) > 1:
            raise ValueError(f"says {' and '.join(said)}: keep one of them")
        if self.test + self.valid >= 1:
            raise ValueError(
                f"test ({self.test:g}) and valid ({self.valid:g}) leave no rows to train on: "
                "make them less than 1 together"
            )
        return self

    def resolve(self, task: str) -> Method:
        """The method that is meant, for a task.

        >>> SplitSpec(by="time").resolve("binary"), SplitSpec().resolve("regression")
        ('time', 'random')
        """
        if self.by is not None:
            return "time"
        if self.group is not None:
            return "group"
        if self.given is not None:
            return "given"
        return self.method or ("random" if task == "regression" else "stratified")

    @property
    def column(self) -> str | None:
        """The column the split reads, if any."""
        return self.by or self.group or self.given


class ImageSpec(Spec):
    """How images become pixels."""

    size: tuple[Side, Side] | None = Field(
        None,
        description="height and width in pixels; without a word the most frequent size in training, with no side "
        "longer than 64",
    )
    channels: Literal[1, 3] | None = Field(
        None, description="1 for grey (ITU-R 601), 3 for colours; without a word 3 where an image has colours"
    )
    fit: Fit = Field(
        "stretch",
        description="how an image of another shape is brought to the size: stretch it, crop it at its sides, or pad it "
        "with black",
    )


class TokensSpec(Spec):
    """How texts become rows of word numbers."""

    length: int = Field(
        64, ge=1, le=4096, description="how many words of a text are kept, from its beginning"
    )
    vocabulary: int = Field(
        10_000, ge=1, le=100_000, description="how many of the most frequent words have a number of their own"
    )
    lower: bool = Field(True, description="whether Good and good are one word")


class EmbeddingSpec(Spec):
    """How texts become the answers of a pretrained sentence encoder."""

    model: str | None = Field(
        None,
        description="the folder of a pretrained BERT model (config.json, model.safetensors, vocab.txt), from the "
        "project's folder",
    )
    length: int | None = Field(
        None,
        ge=3,
        le=8192,
        description="pieces of a text that are read at most; as the model's folder says",
    )

    def located(self, folder: Path) -> EmbeddingSpec:
        """The same with a whole path."""
        return self if self.model is None else self.model_copy(update={"model": str(folder / self.model)})


class ColumnSpec(Spec):
    """What one column, raw or derived, is taken as."""

    model_config = ConfigDict(populate_by_name=True)

    kind: str | None = Field(
        None,
        alias="as",
        description="number, boolean, categorical, timestamp, text, tokens, embedding, image, or ignore; found out "
        "when nothing is said",
    )
    encode: list[str] | None = Field(
        None,
        min_length=1,
        description="which features to make. categorical: indicator, frequency, rank, target_mean; "
        "timestamp: hour, weekday, day, yearday, month, days; text: count, words",
    )
    image: ImageSpec | None = Field(None, description="settings of this column of images alone")
    tokens: TokensSpec | None = Field(None, description="settings of this column of tokens alone")
    embedding: EmbeddingSpec | None = Field(None, description="settings of this column of embeddings alone")


class TextSpec(Spec):
    """How texts of many words become numbers."""

    words: int = Field(50, ge=0, le=2000, description="how many of the most frequent words are counted")


class PrepareSpec(Spec):
    """Splits, derived features and how columns become features."""

    split: SplitSpec = Field(
        default_factory=SplitSpec, description="how rows are split into train, valid and test"
    )
    given: str | None = Field(
        None,
        description="a package (.bsm), from the project's folder, whose features are taken; with `train.given`",
    )
    derive: dict[str, str] = Field(
        default_factory=dict,
        description="new features as SQL scalar expressions: name -> expression over the columns",
    )
    exclude: list[str] = Field(
        default_factory=list,
        description="columns that are no features; split, derive and slices may still use them",
    )
    columns: dict[str, ColumnSpec] = Field(
        default_factory=dict, description="what a column is taken as, where the default is not right"
    )
    weight: str | None = Field(
        None, description="a column of numbers above 0: how much each row counts in training; no feature"
    )
    max_onehot: int = Field(
        10, ge=0, le=1000, description="categories with up to this many levels get one indicator a level"
    )
    max_categories: int = Field(
        1000, ge=1, le=100_000, description="levels kept of a category; rarer ones count as unseen"
    )
    target_mean: bool = Field(
        True, description="the mean target of a level as a feature, for categories with more than 2 levels"
    )
    folds: int = Field(
        5,
        ge=2,
        le=50,
        description="folds of the cross-fit that keeps a row's own target out of its target mean",
    )
    smoothing: float = Field(
        20.0, ge=0, description="rows of the overall mean that a level's target mean is blended with"
    )
    text: TextSpec = Field(default_factory=TextSpec, description="settings of text columns")
    tokens: TokensSpec = Field(default_factory=TokensSpec, description="settings of columns taken as tokens")
    embedding: EmbeddingSpec = Field(
        default_factory=EmbeddingSpec, description="settings of columns taken as embeddings"
    )
    image: ImageSpec = Field(default_factory=ImageSpec, description="settings of columns of images")

    def of(self, column: str) -> ColumnSpec:
        """What is said of a column, raw or derived."""
        return self.columns.get(column) or ColumnSpec.model_validate({})

    def embedding_of(self, column: str) -> EmbeddingSpec:
        """The settings of a column that is taken as an embedding."""
        return self.of(column).embedding or self.embedding

    def located(self, folder: Path) -> PrepareSpec:
        """The same with whole paths for those that are relative to the project's folder."""
        columns = {
            name: said.model_copy(update={"embedding": said.embedding.located(folder)})
            if said.embedding is not None
            else said
            for name, said in self.columns.items()
        }
        return self.model_copy(update={"columns": columns, "embedding": self.embedding.located(folder)})

    @model_validator(mode="after")
    def _given_alone(self) -> PrepareSpec:
        own = self.model_fields_set - {"split", "given", "weight"}
        if self.given is not None and own:
            raise ValueError(
                f"given: the features are those of the package, and {' and '.join(sorted(own))} would make others: "
                "leave one of them out"
            )
        return self

    @model_validator(mode="after")
    def _has_models(self) -> PrepareSpec:
        for name, said in self.columns.items():
            if said.kind == "embedding" and self.embedding_of(name).model is None:
                raise ValueError(
                    f"columns.{name} says `as: embedding` and nothing says by which model: "
                    "write `embedding: {model: FOLDER}` beside it, or once under `prepare`"
                )
        return self
