"""Whether a plugin was written for the contract that is installed.

A distribution says so by its requirement of ``contraflow-hookspecs``, as pip reads it. pip holds to it when it installs; but
a forced or a partial upgrade may have left something else, and then an import error would say little.
"""

from __future__ import annotations

from importlib import metadata

CONTRACT = "contraflow-hookspecs"


def unmet_contract(distribution: metadata.Distribution) -> str | None:
    """What a distribution asks of the contract and does not find.

    Returns:
        One sentence with what to do, or ``None`` if it finds what it asks for, or asks for nothing.
    """
    asked = [text for text in distribution.requires or () if text.lower().replace("_", "-").startswith(CONTRACT)]
    if not asked:
        return None
    from packaging.requirements import InvalidRequirement, Requirement  # here, since most plugins are contraflow's own
    from packaging.utils import canonicalize_name

    installed = metadata.version(CONTRACT)
    for text in asked:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            return f"asks for '{text}', which is no requirement: its package was built wrongly"
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if canonicalize_name(requirement.name) != CONTRACT or not applies:
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            return (
                f"was written for the contract {CONTRACT}{requirement.specifier}, and {installed} is installed: "
                f"install a version of {distribution.name} for {CONTRACT} {installed}, or the other contract"
            )
    return None
