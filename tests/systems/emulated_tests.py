"""The names of the unit tests that are programs of a build folder, one a line: an emulator can run these. Tests in Python
start the programs by themselves, which needs a kernel that knows the emulator; those of the CUDA emulator would be an
emulator in another. emulated_tests.py BUILD_FOLDER"""
import json
import os
import subprocess
import sys

folder = os.path.abspath(sys.argv[1])
listed = subprocess.run(["meson", "introspect", folder, "--tests"], check=True, capture_output=True, text=True).stdout
names = [test["name"] for test in json.loads(listed)
         if any(suite.endswith("unit") for suite in test["suite"]) and test["cmd"][0].startswith(folder + os.sep)
         and not test["name"].startswith("cuda")]
print("\n".join(names))
