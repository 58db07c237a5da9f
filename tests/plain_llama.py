"""A LlamaForCausalLM of Hugging Face's files with the standard library alone, in double precision: for small models where
numpy is not there. Written from the published description of the model, without any code of the trainer."""
import json
import math
import os
import struct


def read_safetensors(path):
    """(notes, {name: (shape, values)}) of a file of float32."""
    with open(path, "rb") as file:
        length, = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    notes = header.pop("__metadata__")
    found = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        found[name] = entry["shape"], struct.unpack(f"<{(end - begin) // 4}f", data[begin:end])
    return notes, found


def rows_of(tensor):
    (rows, columns), values = tensor
    return [values[i * columns:(i + 1) * columns] for i in range(rows)]


def times(matrix, x):
    return [math.sumprod(row, x) if hasattr(math, "sumprod") else sum(map(float.__mul__, row, x)) for row in matrix]


class Llama:
    def __init__(self, folder):
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
            self.config = json.load(file)
        tensors = read_safetensors(os.path.join(folder, "model.safetensors"))[1]
        self.weights = {name: rows_of(t) if len(t[0]) == 2 else t[1] for name, t in tensors.items()}
        self.head = self.weights.get("lm_head.weight", self.weights["model.embed_tokens.weight"])

    def norm(self, name, x):
        scale = 1 / math.sqrt(sum(v * v for v in x) / len(x) + self.config["rms_norm_eps"])
        return [v * scale * w for v, w in zip(x, self.weights[name])]

    def turned(self, head, position):
        """A head's values, halves turned by position * theta^(-2i / dimension)."""
        half = len(head) // 2
        angles = [position * self.config["rope_theta"] ** (-2 * i / len(head)) for i in range(half)]
        return ([a * math.cos(t) - b * math.sin(t) for a, b, t in zip(head[:half], head[half:], angles)]
                + [b * math.cos(t) + a * math.sin(t) for a, b, t in zip(head[:half], head[half:], angles)])

    def attention(self, name, xs):
        size, heads, groups = (self.config[k] for k in ("head_dim", "num_attention_heads", "num_key_value_heads"))
        cut = [[times(self.weights[f"{name}{kind}_proj.weight"], x) for x in xs] for kind in "qkv"]
        q, k, v = ([[row[i:i + size] for i in range(0, len(row), size)] for row in part] for part in cut)
        q, k = ([[self.turned(head, t) for head in row] for t, row in enumerate(part)] for part in (q, k))
        out = []
        for t, row in enumerate(q):
            joined = []
            for h, query in enumerate(row):
                g = h // (heads // groups)
                scores = [sum(map(float.__mul__, query, k[s][g])) / math.sqrt(size) for s in range(t + 1)]
                shares = [math.exp(s - max(scores)) for s in scores]
                joined += [sum(p * v[s][g][i] for s, p in enumerate(shares)) / sum(shares) for i in range(size)]
            out.append(times(self.weights[name + "o_proj.weight"], joined))
        return out

    def logits(self, tokens):
        """One row of logits for each of a sequence's tokens."""
        stream = [list(self.weights["model.embed_tokens.weight"][t]) for t in tokens]
        for layer in range(self.config["num_hidden_layers"]):
            name = f"model.layers.{layer}."
            added = self.attention(name + "self_attn.", [self.norm(name + "input_layernorm.weight", x) for x in stream])
            stream = [[a + b for a, b in zip(x, y)] for x, y in zip(stream, added)]
            for x in stream:
                y = self.norm(name + "post_attention_layernorm.weight", x)
                gate, up = (times(self.weights[f"{name}mlp.{kind}_proj.weight"], y) for kind in ("gate", "up"))
                hidden = [g / (1 + math.exp(-g)) * u for g, u in zip(gate, up)]
                x[:] = [a + b for a, b in zip(x, times(self.weights[name + "mlp.down_proj.weight"], hidden))]
        return [times(self.head, self.norm("model.norm.weight", x)) for x in stream]

    def loss(self, batch):
        """Mean cross-entropy of {"tokens": [[...]], "targets": [[...]], "mask": [[...]]}."""
        nats = count = 0
        for tokens, targets, mask in zip(batch["tokens"], batch["targets"], batch["mask"]):
            for row, target, counts in zip(self.logits(tokens), targets, mask):
                if counts:
                    top = max(row)
                    nats += top + math.log(sum(math.exp(v - top) for v in row)) - row[target]
                    count += 1
        return nats / count
