"""What an archive says of itself."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

FORMAT = 1
ABOUT = "about.json"
CHECKSUMS = "checksums.json"


class About(BaseModel):
    """The first member: where the archive comes from."""

    model_config = ConfigDict(extra="forbid")

    format: int
    version: str = Field(description="Of the package that made it.")
    revision: str = Field(description="The database's last migration.")
    created: datetime
    artifacts: str = Field(description="Folder of the artifacts, which jobs' configs name.")
    uploads: str = Field(description="Folder of the uploads, which jobs' configs name.")
    bucket: bool = Field(False, description="Whether jobs' files are in object storage instead.")


class FileSum(BaseModel):
    """One member's content."""

    model_config = ConfigDict(extra="forbid")

    bytes: int
    sha256: str


class Checksums(BaseModel):
    """The last member: what all others hold."""

    model_config = ConfigDict(extra="forbid")

    members: dict[str, FileSum]
    rows: dict[str, int] = Field(description="How many by table.")
