"""Makes runs short wherever a Python process finds this folder on its path: presets become small.

The service and the commands that the pages start are processes of their own; what a preset fills in
is the one thing about them that is not as users have it.
"""

import importlib.util
import sys
from importlib.abc import MetaPathFinder

SHORT = {
    "encoder": {"architecture": "vit_starter_patch16_224"},
    "views": {"global_size": 64, "local_size": 32, "local_crops": 2},
    "loss": {"grid": 2},
    "head": {"hidden": 32, "out": 16},
    "optim": {"batch_size": 4, "max_steps": 2, "lr_encoder": 3e-4, "lr_head": 3e-3},
    "runtime": {"workers": 0, "log_every": 1, "probe_images": 4, "export": "student"},
}


class _Shorten(MetaPathFinder):
    """Changes `paka.presets` once it is imported, and imports nothing itself."""

    def find_spec(self, name, path, target=None):
        if name != "paka.presets":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def execute_and_shorten(module):
            execute(module)
            for preset in module.PRESETS:
                module.PRESETS[preset] = SHORT

        spec.loader.exec_module = execute_and_shorten
        return spec


sys.meta_path.insert(0, _Shorten())
