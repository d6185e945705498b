"""A synthesizer that uploads nothing. Parameters of the template name the place of the code."""

from __future__ import annotations

from typing import Final

from aws_cdk import (
    CfnParameter,
    DockerImageAssetLocation,
    FileAssetLocation,
    ISynthesisSession,
    Stack,
    StackSynthesizer,
)

from workpool_cdk.errors import ConfigurationError

__all__ = ["CodeByParameter"]

_HASH_LENGTH: Final = 16


class CodeByParameter(StackSynthesizer):
    """Leaves the place of the code to two parameters, and all else to the template."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = ""
        self.key = ""
        self._place: tuple[CfnParameter, CfnParameter] | None = None

    def declare(self, stack: Stack) -> None:
        """Add the parameters to the stack that this synthesizer was given to."""
        bucket = CfnParameter(
            stack, "CodeBucket", min_length=3, description="The bucket that holds the code."
        )
        key = CfnParameter(
            stack, "CodeKey", min_length=1, description="The key of the code in that bucket."
        )
        self._place = bucket, key

    def add_file_asset(
        self, *, source_hash: str, file_name: str | None = None, **_: object
    ) -> FileAssetLocation:
        """Places the one asset, the code, where the parameters say.

        Raises:
            ConfigurationError: there is a second asset.
        """
        key = f"workpool-{source_hash[:_HASH_LENGTH]}.zip"
        if self._place is None or file_name is None or self.key not in ("", key):
            raise ConfigurationError(f"{file_name}: a plain template has one asset, its code")
        self.folder, self.key = file_name, key
        bucket, named = self._place
        named.default = key
        url = f"s3://{bucket.value_as_string}/{named.value_as_string}"
        return FileAssetLocation(
            bucket_name=bucket.value_as_string,
            object_key=named.value_as_string,
            http_url=url,
            s3_object_url=url,
        )

    def add_docker_image_asset(self, **_: object) -> DockerImageAssetLocation:
        """Refuses an image.

        Raises:
            ConfigurationError: always.
        """
        raise ConfigurationError("a plain template holds no container images")

    def synthesize(self, session: ISynthesisSession) -> None:
        """Writes the template, and no manifest of assets."""
        self._synthesize_template(session)
        self._emit_artifact(session)
