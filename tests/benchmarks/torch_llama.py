"""The same Llama decoder in PyTorch, as the side-by-side of isoloss' CPU trainer.

  torch_llama.py time --layers 4 --width 256 [--dtype float32|bfloat16] [--batch 16] [--steps 5]
      tokens per second of whole training steps (forward, backward, clip, AdamW), one thread, best and median of the
      steps, in processor time (which other programs disturb little) and, best, by the wall clock; also the float32 matrix-product rate that torch reaches, since a BLAS that does not know the processor is
      several times too slow and says nothing (Debian's OpenBLAS: try OPENBLAS_CORETYPE=SkylakeX).
  torch_llama.py compare FOLDER
      FOLDER holds model.safetensors, config.json, batch.safetensors and gradients.safetensors as written by
      `isoloss-train --dump-gradients FOLDER CONFIG.json`: recomputes loss and gradients from the weights and the batch.
      Prints the differences; exit code 1 when the loss is off by more than 1e-5 or a gradient tensor by more than
      1e-4 (relative, in the Frobenius norm).

Needs python3-torch (and numpy); exit code 77 when it is missing, so that a test is skipped."""
import argparse
import json
import math
import os
import struct
import sys
import time

os.environ.setdefault('OMP_NUM_THREADS', '1')
try:
    import numpy
    import torch
    from torch.nn.functional import cross_entropy, silu
except ImportError as missing:
    print('torch_llama: %s' % missing, file=sys.stderr)
    sys.exit(77)


def read_safetensors(path):
    """All tensors of a safetensors file, as torch tensors, and its metadata."""
    with open(path, 'rb') as file:
        raw = file.read()
    size = struct.unpack('<Q', raw[:8])[0]
    header = json.loads(raw[8:8 + size])
    metadata = header.pop('__metadata__', {})
    types = {'F32': numpy.float32, 'F64': numpy.float64, 'I32': numpy.int32, 'U8': numpy.uint8}
    tensors = {}
    for name, entry in header.items():
        start, end = entry['data_offsets']
        array = numpy.frombuffer(raw[8 + size + start:8 + size + end], dtype=types[entry['dtype']])
        tensors[name] = torch.from_numpy(array.reshape(entry['shape']).copy())
    return tensors, metadata


class Llama:
    """Parameters by their Hugging Face names, and the loss as a function of a batch."""

    def __init__(self, config, parameters=None):
        self.c = config
        self.heads = config['num_attention_heads']
        self.kv_heads = config.get('num_key_value_heads', self.heads)
        self.head_dim = config.get('head_dim', config['hidden_size'] // self.heads)
        self.p = parameters if parameters is not None else self.initial()
        for tensor in self.p.values():
            tensor.requires_grad_(True)
        self.angles = {}

    def initial(self):
        width, hidden, vocabulary = self.c['hidden_size'], self.c['intermediate_size'], self.c['vocab_size']
        shapes = {'model.embed_tokens.weight': (vocabulary, width), 'model.norm.weight': (width,)}
        if not self.c.get('tie_word_embeddings'):
            shapes['lm_head.weight'] = (vocabulary, width)
        for layer in range(self.c['num_hidden_layers']):
            block = 'model.layers.%d.' % layer
            shapes.update({
                block + 'input_layernorm.weight': (width,), block + 'post_attention_layernorm.weight': (width,),
                block + 'self_attn.q_proj.weight': (self.heads * self.head_dim, width),
                block + 'self_attn.k_proj.weight': (self.kv_heads * self.head_dim, width),
                block + 'self_attn.v_proj.weight': (self.kv_heads * self.head_dim, width),
                block + 'self_attn.o_proj.weight': (width, self.heads * self.head_dim),
                block + 'mlp.gate_proj.weight': (hidden, width), block + 'mlp.up_proj.weight': (hidden, width),
                block + 'mlp.down_proj.weight': (width, hidden)})
        torch.manual_seed(0)
        return {name: torch.ones(shape) if len(shape) == 1 else torch.randn(shape) * 0.02
                for name, shape in shapes.items()}

    def norm(self, x, name):
        scale = torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + self.c['rms_norm_eps'])
        return (x.float() * scale * self.p[name]).to(x.dtype)

    def rotate(self, x):
        context, half = x.shape[2], self.head_dim // 2
        if context not in self.angles:
            rates = self.c['rope_theta'] ** (-torch.arange(0, half, dtype=torch.float64) * 2 / self.head_dim)
            angles = torch.arange(context, dtype=torch.float64)[:, None] * rates[None]
            self.angles[context] = angles.cos().float(), angles.sin().float()
        cos, sin = (part.to(x.dtype) for part in self.angles[context])
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    def loss(self, inputs, targets, mask=None):
        batch, context = inputs.shape
        x = self.p['model.embed_tokens.weight'][inputs]
        hidden_mask = torch.triu(torch.full((context, context), -math.inf), 1)
        for layer in range(self.c['num_hidden_layers']):
            block = 'model.layers.%d.' % layer
            y = self.norm(x, block + 'input_layernorm.weight')

            def project(which, heads):
                out = y @ self.p[block + 'self_attn.%s_proj.weight' % which].t()
                return out.view(batch, context, heads, self.head_dim).transpose(1, 2)
            q, k, v = self.rotate(project('q', self.heads)), self.rotate(project('k', self.kv_heads)), project(
                'v', self.kv_heads)
            if self.kv_heads != self.heads:
                k, v = (t.repeat_interleave(self.heads // self.kv_heads, 1) for t in (k, v))
            scores = q @ k.transpose(-1, -2) / math.sqrt(self.head_dim) + hidden_mask
            o = (scores.softmax(-1).to(v.dtype) @ v).transpose(1, 2).reshape(batch, context, -1)
            x = x + o @ self.p[block + 'self_attn.o_proj.weight'].t()
            y = self.norm(x, block + 'post_attention_layernorm.weight')
            gate = y @ self.p[block + 'mlp.gate_proj.weight'].t()
            up = y @ self.p[block + 'mlp.up_proj.weight'].t()
            x = x + (silu(gate) * up) @ self.p[block + 'mlp.down_proj.weight'].t()
        x = self.norm(x, 'model.norm.weight')
        head = self.p.get('lm_head.weight', self.p['model.embed_tokens.weight'])
        nats = cross_entropy((x @ head.t()).float().view(-1, head.shape[0]), targets.reshape(-1).long(),
                             reduction='none')
        if mask is None:
            return nats.mean()
        mask = mask.reshape(-1).float()
        return (nats * mask).sum() / mask.sum()


def compare(folder):
    with open(os.path.join(folder, 'config.json')) as file:
        config = json.load(file)
    weights, _ = read_safetensors(os.path.join(folder, 'model.safetensors'))
    batch, _ = read_safetensors(os.path.join(folder, 'batch.safetensors'))
    ours, _ = read_safetensors(os.path.join(folder, 'gradients.safetensors'))
    model = Llama(config, weights)
    loss = model.loss(batch['inputs'].long(), batch['targets'], batch.get('mask'))
    loss.backward()
    logged = batch['loss'].item()
    fine = abs(loss.item() - logged) <= 1e-5
    print('loss: torch %.9f, isoloss %.9f, difference %.2e' % (loss.item(), logged, loss.item() - logged))
    if sorted(ours) != sorted(weights):
        print('different tensors: %s' % sorted(set(ours) ^ set(weights)))
        fine = False
    for name in sorted(set(ours) & set(weights)):
        theirs = weights[name].grad
        off = ((ours[name].double() - theirs.double()).norm() / (theirs.double().norm() + 1e-30)).item()
        print('%-52s %.2e%s' % (name, off, '' if off <= 1e-4 else '   too far'))
        fine = fine and off <= 1e-4
    return 0 if fine else 1


def product_rate():
    a, b = torch.randn(512, 256), torch.randn(256, 1024)
    best = math.inf
    for _ in range(20):
        start = time.process_time()
        a @ b
        best = min(best, time.process_time() - start)
    return 2 * 512 * 256 * 1024 / best / 1e9


def measure(o):
    torch.set_num_threads(1)
    hidden = (o.width * 8 // 3 + 31) // 32 * 32
    head_dim = next(d for d in (64, 32, 16) if o.width % d == 0)
    model = Llama({'hidden_size': o.width, 'intermediate_size': hidden, 'vocab_size': o.vocabulary,
                   'num_hidden_layers': o.layers, 'num_attention_heads': o.width // head_dim, 'head_dim': head_dim,
                   'rms_norm_eps': 1e-5, 'rope_theta': 10000.0})
    optimizer = torch.optim.AdamW([{'params': [p for p in model.p.values() if p.dim() > 1]},
                                   {'params': [p for p in model.p.values() if p.dim() == 1], 'weight_decay': 0.0}],
                                  lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)
    times, wall = [], []
    for step in range(o.steps + 1):
        tokens = torch.randint(0, o.vocabulary, (o.batch, o.context + 1))
        start, wall_start = time.process_time(), time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast('cpu', dtype=torch.bfloat16, enabled=o.dtype == 'bfloat16'):
            loss = model.loss(tokens[:, :-1], tokens[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.p.values(), 1.0)
        optimizer.step()
        if step:  # the first warms up
            times.append(time.process_time() - start)
            wall.append(time.perf_counter() - wall_start)
    times.sort()
    rate = o.batch * o.context / times[0]
    print(json.dumps({'backend': 'torch ' + torch.__version__, 'dtype': o.dtype, 'tokens_per_second': rate,
                      'median': o.batch * o.context / times[len(times) // 2],
                      'wall_tokens_per_second': o.batch * o.context / min(wall),
                      'matrix_product_gflops': product_rate(),
                      'openblas_coretype': os.environ.get('OPENBLAS_CORETYPE'),
                      'model': {'layers': o.layers, 'width': o.width, 'vocabulary': o.vocabulary,
                                'context': o.context, 'batch': o.batch}}))
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest='verb', required=True)
    verbs.add_parser('compare').add_argument('folder')
    timing = verbs.add_parser('time')
    for name, value in (('layers', 4), ('width', 256), ('vocabulary', 4096), ('context', 256), ('batch', 16),
                        ('steps', 5)):
        timing.add_argument('--' + name, type=int, default=value)
    timing.add_argument('--dtype', choices=['float32', 'bfloat16'], default='float32')
    o = parser.parse_args()
    return compare(o.folder) if o.verb == 'compare' else measure(o)


if __name__ == '__main__':
    sys.exit(main())
