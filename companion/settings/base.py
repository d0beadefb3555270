"""What all settings share: they are frozen and refuse unknown names."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1, le=64)]


class Frozen(BaseModel):
    """Settings that cannot change and refuse unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)
