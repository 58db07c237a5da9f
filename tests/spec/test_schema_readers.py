"""The JSON Schema as other programs apply it: PyYAML reads the specs that ship, jsonschema holds them against it.

test_schema_readers.py ISOLOSS: ISOLOSS is the front. Skipped where Python has not both. Prints TAP.
"""
import glob
import json
import os
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, check, finish, run  # noqa: E402

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "experiments")
LINE = "# yaml-language-server: $schema=isoloss.schema.json\n"


@case
def shipped_specs_name_the_schema():
    specs = sorted(glob.glob(os.path.join(FOLDER, "**", "*.yaml"), recursive=True))
    check(len(specs) >= 9, specs)
    for path in specs:
        check(open(path).readline() == LINE, path)


@case
def shipped_specs_are_valid_to_others():
    try:
        import jsonschema
        import yaml
    except ImportError:
        return "PyYAML or jsonschema is missing"
    validator = jsonschema.Draft202012Validator(json.loads(run("schema", code=0).out))
    for path in sorted(glob.glob(os.path.join(FOLDER, "**", "*.yaml"), recursive=True)):
        errors = [f"{list(error.absolute_path)}: {error.message[:300]}" for error in
                  validator.iter_errors(yaml.safe_load(open(path)))]
        check(not errors, path, *errors[:3])
    read = yaml.safe_load("base: {train: {tokens: 1e6, lr: 3e-3}}\nsweep: {grid: {train.lr: {log: [1e-3, 1e-2, 3]}}}")
    check(read["base"]["train"]["tokens"] == "1e6" and validator.is_valid(read), read)
    check(not validator.is_valid({"base": {"train": {"tokens": "1e6 or so"}}}), "no number")


finish()
