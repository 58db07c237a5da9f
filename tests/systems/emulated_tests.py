"""The names of the unit tests that an emulator can run, one a line: those that are programs of a build folder. The others
go to standard error, with why not. emulated_tests.py BUILD_FOLDER"""
import json
import os
import subprocess
import sys

# What takes more than five seconds of a processor's time by itself, and minutes to hours under an emulator, and whose code
# other tests run too.
MANY_FITS = 'statistics over many fits, minutes to hours under an emulator; other tests run the same code'
LONG = {name: MANY_FITS for name in ('fitting coverage', 'fitting dependence', 'fitting choice', 'fitting forms',
                                     'fitting design', 'fitting replicates')}
TRAININGS = 'whole trainings in many settings, half an hour and more under an emulator; trainer-gradient, -phases and '\
            '-resumption run the same code'
LONG.update({name: TRAININGS for name in ('trainer-training', 'trainer-interruption')})
LONG['plan'] = 'a plan of a million runs, half an hour under an emulator; the schema, spec and document tests plan too'

folder = os.path.abspath(sys.argv[1])


def why_not(test):
    if not test['cmd'][0].startswith(folder + os.sep):
        return 'in Python: looks at sources, or starts programs, which needs a kernel that knows the emulator'
    if test['name'].startswith('cuda'):
        return 'an emulator of GPUs, in another one'
    return LONG.get(test['name'])


listed = subprocess.run(['meson', 'introspect', folder, '--tests'], check=True, capture_output=True, text=True).stdout
for test in json.loads(listed):
    if any(suite.endswith('unit') for suite in test['suite']):
        reason = why_not(test)
        if reason:
            print('not run under qemu: %s (%s)' % (test['name'], reason), file=sys.stderr)
        else:
            print(test['name'])
