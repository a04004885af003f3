"""Packs a folder of Python modules into one text that a foreign ``python3 -`` runs from standard input.

Nothing is written on the other side: the sources travel compressed inside a small program that imports them from
memory. It works on Python 3.7 or newer, for any package that needs only the standard library. It must not know what
the package does, nor how the text gets to the other machine.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from pathlib import Path

# Arguments and sources are data inside one base64 string: nothing of them is ever read by a shell, or as Python text.
# The finder stands before the machine's own: a module of the same name that happens to be installed is not used.
_BOOTSTRAP = """\
import base64, json, sys, zlib
from importlib.machinery import ModuleSpec

class Carried:
    def __init__(self, sources):
        self.sources = sources
    def find_spec(self, name, path=None, target=None):
        for key in (name, name + ".__init__"):
            if key in self.sources:
                spec = ModuleSpec(name, self, origin="<carried %s>" % key, is_package=key != name)
                spec.has_location = False
                return spec
        return None
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        exec(self.get_code(module.__spec__), module.__dict__)
    def get_code(self, spec):
        return compile(self.get_source(spec.name), spec.origin, "exec", dont_inherit=True)
    def get_source(self, name):
        return self.sources.get(name, self.sources.get(name + ".__init__"))

carried = json.loads(zlib.decompress(base64.b64decode("PAYLOAD")).decode("ascii"))
finder = Carried(carried["sources"])
sys.meta_path.insert(0, finder)
sys.argv = [carried["module"]] + carried["argv"]
spec = finder.find_spec(carried["module"] + ".__main__")
# As ``python -m`` does it: the program runs in the namespace of __main__, and knows its package.
space = sys.modules["__main__"].__dict__
space.update(__package__=carried["module"], __spec__=spec, __loader__=finder)
exec(finder.get_code(spec), space)
"""


def bundle(package_dir: Path, module: str, argv: Sequence[str]) -> bytes:
    """The program ``python3 -m module argv...`` as a text for the standard input of ``python3 -``.

    ``package_dir`` is the folder of the package ``module`` (dotted name). The packages above it exist on the other
    side too, but empty: what is carried is this folder and nothing else.
    """
    sources = _parents(module)
    for path in sorted(package_dir.rglob("*.py")):
        name = ".".join((module, *path.relative_to(package_dir).with_suffix("").parts))
        sources[name] = path.read_text(encoding="utf-8")
    if f"{module}.__main__" not in sources:
        raise ValueError(f"{package_dir} holds no __main__.py, so {module} cannot be run")
    carried = json.dumps({"module": module, "argv": list(argv), "sources": sources})
    payload = base64.b64encode(zlib.compress(carried.encode("ascii"), 9))
    return _BOOTSTRAP.replace("PAYLOAD", payload.decode("ascii")).encode("ascii")


def _parents(module: str) -> dict[str, str]:
    parts = module.split(".")
    return {".".join(parts[:depth]) + ".__init__": "" for depth in range(1, len(parts))}
