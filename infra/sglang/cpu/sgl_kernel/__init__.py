"""Stands in for the CUDA-only sgl_kernel wheel: names resolve, and a call says why it cannot run."""

from typing import NoReturn

__version__ = "0.0.0"
__path__: list[str] = []  # a package, so that `import sgl_kernel.x` looks here and fails in the ordinary way


def __getattr__(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(name)

    def unavailable(*_arguments: object, **_options: object) -> NoReturn:
        raise NotImplementedError(f"sgl_kernel.{name} has no CPU build")

    return unavailable
