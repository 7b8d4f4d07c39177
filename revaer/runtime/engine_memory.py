"""What an engine is to be told, whichever engine it is."""

from dataclasses import dataclass, field, replace

from revaer.domain.ids import UNLIMITED, BytesPerSecond
from revaer.domain.limits import SessionLimits
from revaer.domain.share_limits import ShareLimitPolicy
from revaer.ports.engine import EngineSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineMemory:
    """Outlives session actors and engines; each change makes another one.

    Attributes:
        settings: as they were asked for; their limits are the usual ones.
        alternative_download: holds in place of the usual limit while `use_alternative` is on.
        alternative_upload: as above.
        use_alternative: which of the two sets holds.
        share_policy: the share limits of torrents without their own.
    """

    settings: EngineSettings = field(default_factory=EngineSettings)
    alternative_download: BytesPerSecond = UNLIMITED
    alternative_upload: BytesPerSecond = UNLIMITED
    use_alternative: bool = False
    share_policy: ShareLimitPolicy = field(default_factory=ShareLimitPolicy)

    @property
    def limits(self) -> SessionLimits:
        """Both sets of limits.

        Raises:
            InvalidInputError: one of them is out of range.
        """
        return SessionLimits(
            download=self.settings.download_limit,
            upload=self.settings.upload_limit,
            alternative_download=self.alternative_download,
            alternative_upload=self.alternative_upload,
            use_alternative=self.use_alternative,
        )

    def with_limits(self, limits: SessionLimits) -> "EngineMemory":
        """Remember these limits in place of what was."""
        return replace(
            self,
            settings=replace(
                self.settings, download_limit=limits.download, upload_limit=limits.upload
            ),
            alternative_download=limits.alternative_download,
            alternative_upload=limits.alternative_upload,
            use_alternative=limits.use_alternative,
        )

    def for_engine(self) -> EngineSettings:
        """The settings with the limits that hold now, as an engine takes them."""
        effective = self.limits.effective
        return replace(
            self.settings, download_limit=effective.download, upload_limit=effective.upload
        )
