"""`meson install` puts everything in place, and the installed program finds it, wherever the installation stands.
test_install.py MESON BUILD_FOLDER. TAP output."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import check, environment, finish, run, scratch as folder  # noqa: E402

meson, build = sys.argv[1], os.path.abspath(sys.argv[2])
done = subprocess.run([meson, 'install', '-C', build, '--no-rebuild', '--destdir', folder], capture_output=True,
                      text=True)
check(done.returncode == 0, 'meson install', done.stdout + done.stderr)
paths = sorted(os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names)
found = {}
for tail in ('bin/isoloss', 'bin/isoloss-train', 'isoloss/laws/chinchilla.yaml',
             'isoloss/experiments/quickstart.yaml', 'isoloss/experiments/zipfmem.yaml', 'man1/isoloss.1',
             'isoloss/corpora/build_corpus.py', 'completions/isoloss'):
    found[os.path.basename(tail) if 'completions' not in tail else tail] = next(
        (path for path in paths if path.endswith('/' + tail)), None)
    check(any(path.endswith('/' + tail) for path in paths), '%s is installed' % tail, '\n'.join(paths))
program = found['isoloss']
environment.pop('ISOLOSS_DATA', None)
laws = run('laws', '--json', program=program)
check(laws.code == 0 and 'chinchilla' in laws.out, 'the installed program finds its laws', laws.err)
spec = run('check', found['quickstart.yaml'], program=program)
check(spec.code == 0 and '27 runs' in spec.out + spec.err, 'an installed spec is sound', spec.out + spec.err)
data = run('data', 'list', '--json', program=program)
check(data.code == 0 and json.loads(data.out) is not None, 'data commands work', data.err)
finish()
