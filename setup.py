"""What depends on the project's public address: links of the README in the package, and the project's URLs.

`[tool.mi-estimators] repository` in pyproject.toml holds the address. While it is empty, links stay relative.
"""

import posixpath
import re
import tomllib
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PAGES = {"Documentation": "docs/index.md", "Changelog": "CHANGELOG.md", "Citation": "CITATION.cff"}


def absolute(readme: str, repository: str, version: str) -> str:
    """Return the README with its relative links at the version's tag in the repository."""

    def link(match: re.Match[str]) -> str:
        start, target = match.groups()
        kind = "raw" if posixpath.splitext(target)[1] in (".png", ".svg") else "blob"
        return f"{start}{repository}/{kind}/v{version}/{target}"

    return re.sub(r"""(\]\(|src=["']|srcset=["'])(?!\w+:|#)([^)"'\s]+)""", link, readme)


def urls(repository: str) -> dict[str, str]:
    """Return the project's URLs; none while there is no public address."""
    if not repository:
        return {}
    pages = {name: f"{repository}/blob/main/{path}" for name, path in PAGES.items()}
    return {"Source": repository, "Issues": f"{repository}/issues", **pages}


if __name__ == "__main__":
    repository = SETTINGS["tool"]["mi-estimators"]["repository"].rstrip("/")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    version = SETTINGS["project"]["version"]
    setup(
        long_description=absolute(readme, repository, version) if repository else readme,
        long_description_content_type="text/markdown",
        project_urls=urls(repository),
    )
