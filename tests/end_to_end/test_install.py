"""`meson install` puts everything in place, and the installed program finds it, wherever the installation stands.
test_install.py MESON BUILD_FOLDER. TAP output."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

meson, build = sys.argv[1], os.path.abspath(sys.argv[2])
folder = tempfile.mkdtemp(prefix='isoloss-install-')
cases = failures = 0


def check(condition, name, detail=''):
    global cases, failures
    cases += 1
    failures += not condition
    print('%sok %d - %s' % ('' if condition else 'not ', cases, name))
    for line in [] if condition else str(detail).splitlines()[-20:]:
        print('#', line)


try:
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
    environment = {k: v for k, v in os.environ.items() if k != 'ISOLOSS_DATA'}
    environment.update(ISOLOSS_HOME=os.path.join(folder, 'home'), XDG_CACHE_HOME=os.path.join(folder, 'cache'))
    laws = subprocess.run([program, 'laws', '--json'], env=environment, capture_output=True, text=True, cwd=folder)
    check(laws.returncode == 0 and 'chinchilla' in laws.stdout, 'the installed program finds its laws', laws.stderr)
    spec = subprocess.run([program, 'check', found['quickstart.yaml']], env=environment, capture_output=True, text=True,
                          cwd=folder)
    check(spec.returncode == 0 and '12 runs' in spec.stdout + spec.stderr, 'an installed spec is sound',
          spec.stdout + spec.stderr)
    data = subprocess.run([program, 'data', 'list', '--json'], env=environment, capture_output=True, text=True,
                          cwd=folder)
    check(data.returncode == 0 and json.loads(data.stdout) is not None, 'data commands work', data.stderr)
finally:
    shutil.rmtree(folder, ignore_errors=True)
print('1..%d' % cases)
sys.exit(1 if failures else 0)
