"""Which files this plugin consists of, so that the daemon restarts it when one changes.

In: what has been imported. Out: absolute paths.
Never: the interpreter, installed packages, this SDK: they change with a release, not with an edit.
"""

import os
import site
import sys
import sysconfig
from typing import List, Optional, Set, Tuple

_FILES_MAX = 2000


def imported_files() -> List[str]:
    """Returns the files of the author's own modules, sorted."""
    apart = _installed_roots()
    found: Set[str] = set()
    for module in list(sys.modules.values()):
        path = _file_of(module)
        if path and not path.startswith(apart) and "/site-packages/" not in path and "/dist-packages/" not in path:
            found.add(path)
    return sorted(found)[:_FILES_MAX]


def _installed_roots() -> Tuple[str, ...]:
    paths = sysconfig.get_paths()
    roots = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib") if name in paths]
    roots += getattr(site, "getsitepackages", list)()  # missing in old virtual environments
    roots.append(os.path.dirname(os.path.abspath(__file__)))
    return tuple({os.path.join(form(root), "") for root in roots for form in (os.path.abspath, os.path.realpath)})


def _file_of(module: object) -> Optional[str]:
    path = getattr(module, "__file__", None)
    if not isinstance(path, str) or path.startswith("<"):
        return None
    path = os.path.abspath(path)
    while len(path) > 1 and not os.path.exists(path):  # inside a zip: the zip
        path = os.path.dirname(path)
    return path if os.path.isfile(path) else None
