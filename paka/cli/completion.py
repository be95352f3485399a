"""What the shell offers for a half-written word."""


def complete_architecture(incomplete: str) -> list[tuple[str, str]]:
    """Names of architectures, each with what it is."""
    from paka.architectures import architectures

    return [
        (name, f"patch {facts.patch_size}, dimension {facts.dim}")
        for name, facts in architectures().items()
        if name.startswith(incomplete)
    ]


def complete_preset(incomplete: str) -> list[str]:
    """Names of presets."""
    from paka.presets import PRESETS

    return [name for name in PRESETS if name.startswith(incomplete)]
