"""Property tests of this room take as long as the machine needs: two cores may be busy with something else."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("measure", deadline=None, max_examples=50)
settings.load_profile("measure")
