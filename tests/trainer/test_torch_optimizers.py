"""A hundred steps beside PyTorch's optimizers, from the same weights and on the same batches: every loss in float32 agrees to
1e-5 with torch's AdamW, SGD and, where this torch has it, Muon (with its iteration in float32, as isoloss has it).
test_torch_optimizers.py ISOLOSS_TRAIN MAKE_RUN TORCH_LLAMA; exit code 77 without torch."""
import importlib.util
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import check, finish, path_of  # noqa: E402

trainer, make_run, script = sys.argv[1:4]
if importlib.util.find_spec('torch') is None or importlib.util.find_spec('numpy') is None:
    print('skipped: no torch')
    sys.exit(77)
os.environ.setdefault('OMP_NUM_THREADS', '1')
import torch  # noqa: E402

spec = importlib.util.spec_from_file_location('torch_llama', script)
torch_llama = importlib.util.module_from_spec(spec)
spec.loader.exec_module(torch_llama)
STEPS, LR, DECAY = 100, 1e-3, 0.1
COMMON = ['corpus.source=markov2', 'corpus.markov2_vocabulary=32', 'model.layers=2', 'model.width=32', 'model.context=16',
          'model.dtype=float32', 'train.batch_tokens=256', 'train.steps=%d' % STEPS, 'train.warmup_steps=0',
          'train.schedule=constant', 'train.clip_norm=0', 'train.lr=%g' % LR, 'train.log_steps=1', 'train.evals=0',
          'train.final_eval_tokens=256']


def is_block_matrix(name):
    return name.startswith('model.layers.') and 'norm' not in name


def adamw(groups):
    return torch.optim.AdamW(groups, lr=LR, betas=(0.9, 0.95), eps=1e-8, foreach=False)


def optimizers(name, parameters):
    matrices = [p for n, p in parameters.items() if is_block_matrix(n)]
    rest = [p for n, p in parameters.items() if not is_block_matrix(n)]
    if name == 'adamw':
        return [adamw([{'params': matrices, 'weight_decay': DECAY}, {'params': rest, 'weight_decay': 0}])]
    if name == 'sgd':
        return [torch.optim.SGD(matrices + rest, lr=LR, momentum=0.9, foreach=False)]
    return [torch.optim.Muon(matrices, lr=LR, weight_decay=DECAY, adjust_lr_fn='match_rms_adamw'),
            adamw([{'params': rest, 'weight_decay': 0}])]


def losses_of_torch(name, run, dumped):
    batches = json.loads(subprocess.run([make_run, '--batches', os.path.join(run, 'config.json'), str(STEPS)],
                                        capture_output=True, text=True, check=True).stdout)
    with open(os.path.join(dumped, 'config.json')) as file:
        config = json.load(file)
    weights, _ = torch_llama.read_safetensors(os.path.join(dumped, 'model.safetensors'))
    model = torch_llama.Llama(config, weights)
    moving = optimizers(name, model.p)
    rows, losses = len(batches['tokens']) // STEPS, []
    for step in range(STEPS):
        part = slice(step * rows, (step + 1) * rows)
        loss = model.loss(*(torch.tensor(batches[what][part]) for what in ('tokens', 'targets', 'mask')))
        losses.append(loss.item())
        for one in moving:
            one.zero_grad()
        loss.backward()
        for one in moving:
            one.step()
    return losses


def losses_of_isoloss(run):
    with open(os.path.join(run, 'events.jsonl')) as log:
        events = [json.loads(line) for line in log]
    return [e['loss'] for e in events if e['event'] == 'step']


torch.Tensor.bfloat16 = torch.Tensor.float  # torch's Muon iterates in bfloat16
NAMES = {'adamw': [], 'sgd': ['train.weight_decay=0'], 'muon': []}
for name, pairs in NAMES.items():
    if name == 'muon' and not hasattr(torch.optim, 'Muon'):
        print('# this torch has no Muon')
        continue
    run, dumped = path_of(name), path_of(name + ' weights')
    subprocess.run([make_run, run, *COMMON, 'train.optimizer=' + name, *pairs], check=True)
    config = os.path.join(run, 'config.json')
    subprocess.run([trainer, '--dump-gradients', dumped, config], check=True)
    subprocess.run([trainer, config], check=True, capture_output=True)
    ours, theirs = losses_of_isoloss(run), losses_of_torch(name, run, dumped)
    worst = max(abs(a - b) for a, b in zip(ours, theirs))
    print('# %s: loss %.4f to %.4f, largest difference %.2g' % (name, ours[0], ours[-1], worst))
    check(len(ours) == STEPS and worst <= 1e-5, name, 'largest difference %g' % worst)
    if name != 'sgd':  # at this rate it hardly moves
        check(ours[-1] < ours[0] - 0.02, name + ' learns')
finish()
