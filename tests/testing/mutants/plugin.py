"""Plugin modules broken in one way each."""

from __future__ import annotations

from tests.testing.mutation import Mutant, no_examples

HEAD = "from stemcore import hookimpl\n"
LOSSES = """
@hookimpl
def stem_losses():
    return {"sharpness": "package.losses:Sharpness"}
"""
PLUGIN = f"""{HEAD}
{LOSSES}
@hookimpl
def stem_defaults():
    return {{"name": "sharp"}}

@hookimpl
def stem_examples():
    return {{"loss/sharpness": "package.examples:sharpness"}}
"""
MISSPELT = PLUGIN.replace("stem_losses", "stem_loses")
RAISING = PLUGIN.replace('return {"sharpness"', 'return 1 / 0, {"sharpness"')
CLASS = f"""{HEAD}
class Sharpness:
    pass

@hookimpl
def stem_losses():
    return {{"sharpness": Sharpness}}
"""
COUNTING = f"""{HEAD}
calls = []

@hookimpl
def stem_losses():
    calls.append(1)
    return {{f"sharpness{{len(calls)}}": "package.losses:Sharpness"}}
"""
OBJECT = f"""{HEAD}{LOSSES}
@hookimpl
def stem_defaults():
    return {{"name": len}}
"""
FUTURE = f"{PLUGIN}\nSTEM_API = '99.0'\n"
HEAVY = f"import torch\n{PLUGIN}"
SLY = PLUGIN.replace("    return", "    import h5py\n    return", 1)
LOST = PLUGIN.replace("loss/sharpness", "loss/sharpnes")
RIVAL = f"""{HEAD}{LOSSES}
@hookimpl
def stem_defaults():
    return {{"optimizer": {{"type": "descent"}}}}
"""

SOUND = [(PLUGIN, no_examples)]
MUTANTS = [
    Mutant("check_loads", "import detector_driver\n", "No module named 'detector_driver'"),
    Mutant("check_loads", MISSPELT, "there is no hook 'stem_loses'; did you mean 'stem_losses'"),
    Mutant("check_loads", RAISING, "hook stem_losses: ZeroDivisionError"),
    Mutant("check_loads", FUTURE, "was written for plugin API 99.0"),
    Mutant(
        "check_hooks_return_data", CLASS, "hook stem_losses: 'sharpness' -> .*is not a name and 'package.module:Class'"
    ),
    Mutant("check_hooks_return_data", COUNTING, r"stem_losses returned \{'sharpness\d"),
    Mutant("check_hooks_return_data", OBJECT, "a hook returns what is not plain data"),
    Mutant("check_imports_without_torch", HEAVY, "imports torch: import them in the component's own module"),
    Mutant("check_imports_without_torch", SLY, "imports h5py"),
    Mutant("check_examples_have_components", LOST, "there is no 'loss/sharpnes'; did you mean 'loss/sharpness'"),
    Mutant("check_gets_on_with_others", RIVAL, "its default for 'optimizer' contradicts that of plugin"),
]
