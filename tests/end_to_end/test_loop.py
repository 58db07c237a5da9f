"""The whole loop as a user runs it, small: the shipped quickstart shrunk to three sizes and three budgets on this
project's own texts: check, plan, run, run again, fit, report. test_loop.py ISOLOSS SOURCE_ROOT. TAP output."""
import html.parser
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

isoloss, root = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
home = tempfile.mkdtemp(prefix='isoloss-loop-')
environment = dict(os.environ, ISOLOSS_HOME=os.path.join(home, 'out'), XDG_CACHE_HOME=os.path.join(home, 'cache'),
                   NO_COLOR='1')
cases = failures = 0


def check(condition, name, detail=''):
    global cases, failures
    cases += 1
    failures += not condition
    print('%sok %d - %s' % ('' if condition else 'not ', cases, name), flush=True)
    if not condition:
        for line in str(detail).splitlines()[-30:]:
            print('#', line)


def call(*arguments, code=0, **options):
    done = subprocess.run([isoloss, *arguments], env=environment, cwd=home, capture_output=True, text=True,
                          timeout=500, **options)
    check(done.returncode == code, 'isoloss %s ends with %d' % (' '.join(arguments)[:60].replace(home, ''), code),
          'ended with %d\n%s\n%s' % (done.returncode, done.stdout, done.stderr))
    return done


def shrunk():
    """The shipped quickstart with fewer, smaller runs; the rest of it stays as it is."""
    with open(os.path.join(root, 'experiments', 'quickstart.yaml')) as file:
        spec = file.read()
    texts = [os.path.join(home, 'texts', '*.txt')]
    os.mkdir(os.path.join(home, 'texts'))
    sources = [os.path.join(root, 'COPYING')]
    for folder in ('docs', '.'):
        sources += [os.path.join(root, folder, name) for name in sorted(os.listdir(os.path.join(root, folder)))
                    if name.endswith('.md')]
    number = 0
    for source in sources:  # a document of a few kilobytes each, so that the validation split gets its share
        with open(source, encoding='utf-8') as file:
            words = file.read()
        for start in range(0, len(words), 2000):
            number += 1
            with open(os.path.join(home, 'texts', '%04d.txt' % number), 'w', encoding='utf-8') as out:
                out.write(words[start:start + 2000])
    for old, new in ((r'corpus: \{.*?\}', 'corpus: {files: "%s", tokenizer: bytes, validation_fraction: 0.1}' % texts[0]),
                     (r'model\.width: \[.*?\]', 'model.width: [16, 32, 64]'),
                     (r'train\.tokens: \[.*?\]', 'train.tokens: [1e5, 2e5, 4e5]'),
                     (r'bootstrap: \d+', 'bootstrap: 50')):
        spec, count = re.subn(old, new, spec)
        check(count == 1, 'the shipped spec still has %s' % old)
    path = os.path.join(home, 'quickstart.yaml')
    with open(path, 'w') as out:
        out.write(spec)
    return path


class Balanced(html.parser.HTMLParser):
    VOID = {'area', 'base', 'br', 'col', 'embed', 'hr', 'img', 'input', 'link', 'meta', 'source', 'track', 'wbr'}

    def __init__(self, page):
        super().__init__()
        self.open, self.wrong, self.text, self.figures = [], [], [], 0
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.figures += tag == 'svg'
        self.wrong += ['%s loads %s' % (tag, value) for name, value in attributes
                       if name in ('src', 'href') and value and not value.startswith('#')]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append('unexpected </%s>' % tag)

    def handle_data(self, data):
        self.text.append(data)


def main():
    spec = shrunk()
    call('check', spec)
    plan = json.loads(call('plan', spec, '--json').stdout)
    check(len(plan) == 9 and all(run['id'] and run['state'] == 'pending' for run in plan), 'nine runs are planned', plan)
    check(len({run['id'] for run in plan}) == 9, 'every run has an id of its own')
    check({run['model.width'] for run in plan} == {16, 32, 64}, 'a run carries its configuration by dotted names')

    # Interrupted as a user would, then called again: the finished runs are the same as ever.
    worker = subprocess.Popen([isoloss, 'run', spec], env=environment, cwd=home, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True)
    time.sleep(3)
    worker.send_signal(signal.SIGINT)
    _, said = worker.communicate(timeout=120)
    check(worker.returncode in (0, 1), 'Ctrl-C ends the command', said)
    call('run', spec)
    before = json.loads(call('runs', 'quickstart', '--json').stdout)
    check(all(run['state'] == 'done' and run['loss'] and 0.5 < run['loss'] < 5 for run in before), 'all runs are done',
          before)
    check([run['id'] for run in before] == [run['id'] for run in plan], 'the runs are the planned ones')
    largest = [run for run in before if run['train.tokens'] == max(r['train.tokens'] for r in before)]
    budgets = {}
    for run in before:
        budgets.setdefault(run['model.width'], []).append((run['tokens'], run['loss']))
    check(all([loss for _, loss in sorted(points, reverse=True)] == sorted(loss for _, loss in points)
              for points in budgets.values()), 'more tokens, less loss, at every size', budgets)
    check(len(largest) == 3, 'three sizes at the largest budget')

    log_sizes = {run['id']: os.path.getsize(os.path.join(environment['ISOLOSS_HOME'], 'runs', run['id'], 'events.jsonl'))
                 for run in before}
    call('run', spec)
    after = json.loads(call('runs', 'quickstart', '--json').stdout)
    check(before == after, 'a second run changes nothing')
    check(all(os.path.getsize(os.path.join(environment['ISOLOSS_HOME'], 'runs', name, 'events.jsonl')) == size
              for name, size in log_sizes.items()), 'a second run trains nothing')

    fits = json.loads(call('fit', spec, '--json').stdout)
    check(len(fits) == 1 and fits[0]['law'] == 'chinchilla' and fits[0]['rows'] == 9, 'the law is fitted to nine rows',
          fits)
    check(set(fits[0]['parameters']) >= {'A', 'B', 'E', 'alpha', 'beta'}, 'its five parameters are there')
    check(0 < fits[0]['residual_rms'] < 0.1 and fits[0]['starts_agreeing'] >= 1, 'the fit describes the runs', fits)

    page_path = os.path.join(home, 'report.html')
    call('report', spec, '-o', page_path)
    with open(page_path, encoding='utf-8') as file:
        page = file.read()
    parsed = Balanced(page)
    text = ' '.join(parsed.text)
    check(not parsed.wrong and not parsed.open, 'the report is well-formed and self-contained', parsed.wrong[:5])
    check(parsed.figures >= 5, 'five figures are drawn', parsed.figures)
    check(all(run['id'][:8] in page for run in before), 'every run is in the report')
    check('chinchilla' in text and 'isoloss run' in text, 'the law and how to rerun are in the report')
    document = json.loads(call('report', spec, '-o', page_path, '--json').stdout)
    check(document, 'the report as JSON')

    # A checkpoint of a finished run is a model of Hugging Face's kind.
    run = before[-1]['id']
    folder = os.path.join(environment['ISOLOSS_HOME'], 'runs', run, 'checkpoints')
    newest = os.path.join(folder, sorted(os.listdir(folder))[-1])
    check({'model.safetensors', 'config.json'} <= set(os.listdir(newest)), 'the last checkpoint is there',
          os.listdir(newest))
    print('1..%d' % cases)


try:
    main()
finally:
    shutil.rmtree(home, ignore_errors=True)
sys.exit(1 if failures else 0)
