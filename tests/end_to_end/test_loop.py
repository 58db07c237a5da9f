"""The whole loop as a user runs it, small: the shipped quickstart shrunk to three sizes and three budgets on the words of
the licence: check, plan, run, run again, fit, report. test_loop.py ISOLOSS SOURCE_ROOT. TAP output."""
import json
import os
import random
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import check, finish, path_of, run, start, write  # noqa: E402
from html_page import Page  # noqa: E402

root = os.path.abspath(sys.argv[2])


def log_size(run_id):
    return os.path.getsize(path_of('home', 'runs', run_id, 'events.jsonl'))


def shrunk():
    """The shipped quickstart with fewer, smaller runs; the rest of it stays as it is."""
    with open(os.path.join(root, 'experiments', 'quickstart.yaml')) as file:
        spec = file.read()
    os.mkdir(path_of('texts'))
    # As many texts as the runs need, the same ones whatever the project's pages say: each word is followed by one that
    # follows it in the licence. Each is a few kilobytes, so that the validation split gets its share.
    with open(os.path.join(root, 'COPYING'), encoding='utf-8') as file:
        words = file.read().split()
    following = {}
    for word, after in zip(words, words[1:] + words[:1]):
        following.setdefault(word, []).append(after)
    chance = random.Random(1)
    for number in range(300):
        text = [chance.choice(words)]
        while sum(map(len, text)) + len(text) < 2000:
            text.append(chance.choice(following[text[-1]]))
        write('texts/%04d.txt' % number, ' '.join(text))
    corpus = 'corpus: {files: "%s", tokenizer: bytes, validation_fraction: 0.1}' % path_of('texts', '*.txt')
    for old, new in ((r'corpus: \{.*?\}', corpus),
                     (r'model\.width: \[.*?\]', 'model.width: [16, 32, 64]'),
                     (r'train\.tokens: \[.*?\]', 'train.tokens: [1e5, 2e5, 4e5]'),
                     (r'bootstrap: \d+', 'bootstrap: 50')):
        spec, count = re.subn(old, new, spec)
        check(count == 1, 'the shipped spec still has %s' % old)
    return write('quickstart.yaml', spec)


def main():
    spec = shrunk()
    run('check', spec, code=0)
    plan = json.loads(run('plan', spec, '--json', code=0).out)
    check(len(plan) == 9 and all(one['id'] and one['state'] == 'pending' for one in plan), 'nine runs are planned', plan)
    check(len({one['id'] for one in plan}) == 9, 'every run has an id of its own')
    check({one['model.width'] for one in plan} == {16, 32, 64}, 'a run carries its configuration by dotted names')

    # Interrupted as a user would, then called again: the finished runs are the same as ever.
    worker = start('run', spec)
    time.sleep(3)
    worker.send_signal(signal.SIGINT)
    _, said = worker.communicate(timeout=120)
    check(worker.returncode in (0, 1), 'Ctrl-C ends the command', said)
    run('run', spec, code=0)
    before = json.loads(run('runs', 'quickstart', '--json', code=0).out)
    check(all(one['state'] == 'done' and one['loss'] and 0.5 < one['loss'] < 5 for one in before), 'all runs are done',
          before)
    check([one['id'] for one in before] == [one['id'] for one in plan], 'the runs are the planned ones')
    largest = [one for one in before if one['train.tokens'] == max(r['train.tokens'] for r in before)]
    budgets = {}
    for one in before:
        budgets.setdefault(one['model.width'], []).append((one['tokens'], one['loss']))
    check(all([loss for _, loss in sorted(points, reverse=True)] == sorted(loss for _, loss in points)
              for points in budgets.values()), 'more tokens, less loss, at every size', budgets)
    check(len(largest) == 3, 'three sizes at the largest budget')

    log_sizes = {one['id']: log_size(one['id']) for one in before}
    run('run', spec, code=0)
    after = json.loads(run('runs', 'quickstart', '--json', code=0).out)
    check(before == after, 'a second run changes nothing')
    check(all(log_size(name) == size for name, size in log_sizes.items()), 'a second run trains nothing')

    fits = json.loads(run('fit', spec, '--json', code=0).out)
    check(len(fits) == 1 and fits[0]['law'] == 'chinchilla' and fits[0]['rows'] == 9, 'the law is fitted to nine rows',
          fits)
    check(set(fits[0]['parameters']) >= {'A', 'B', 'E', 'alpha', 'beta'}, 'its five parameters are there')
    check(0 < fits[0]['residual_rms'] < 0.1 and fits[0]['starts_agreeing'] >= 1, 'the fit describes the runs', fits)

    page_path = path_of('report.html')
    run('report', spec, '-o', page_path, code=0)
    with open(page_path, encoding='utf-8') as file:
        page = file.read()
    parsed = Page(page)
    text = parsed.words()
    check(not parsed.problems, 'the report is well-formed and self-contained', parsed.problems[:5])
    check(parsed.count('svg') >= 5, 'five figures are drawn', parsed.count('svg'))
    check(all(one['id'][:8] in page for one in before), 'every run is in the report')
    check('chinchilla' in text and 'isoloss run' in text, 'the law and how to rerun are in the report')
    document = json.loads(run('report', spec, '-o', page_path, '--json', code=0).out)
    check(document, 'the report as JSON')

    # A checkpoint of a finished run is a model of Hugging Face's kind.
    folder = path_of('home', 'runs', before[-1]['id'], 'checkpoints')
    newest = os.path.join(folder, sorted(os.listdir(folder))[-1])
    check({'model.safetensors', 'config.json'} <= set(os.listdir(newest)), 'the last checkpoint is there',
          os.listdir(newest))


main()
finish()
