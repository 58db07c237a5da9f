"""The loss of a checkpoint, recomputed with numpy alone from Hugging Face's files.

    llama_reference.py CHECKPOINT TOKENS.json

reads model.safetensors and config.json of a LlamaForCausalLM and a file {"tokens": [[...]], "targets": [[...]],
"mask": [[...]]}, and prints the mean natural-log cross-entropy of the unmasked targets as JSON. Written from the
published description of the model, without any code of the trainer; arithmetic is in double precision.
"""

import json
import struct
import sys

import numpy


def read_safetensors(path):
    """Tensors by name, as arrays of double."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    if header.pop("__metadata__", {}).get("format") != "pt":
        raise ValueError("the metadata lacks format: pt, which transformers asks for")
    tensors = {}
    for name, entry in header.items():
        if entry["dtype"] != "F32":
            raise ValueError(f"{name} is {entry['dtype']}")
        begin, end = entry["data_offsets"]
        tensors[name] = numpy.frombuffer(data[begin:end], "<f4").reshape(entry["shape"]).astype(numpy.float64)
    return tensors


def normalised(x, scale, epsilon):
    return x / numpy.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * scale


def rotated(x, theta):
    """x [heads, time, dimension]: the halves of each head turned by position * theta^(-2i / dimension)."""
    time, dimension = x.shape[1:]
    half = dimension // 2
    angles = numpy.outer(numpy.arange(time), theta ** (-numpy.arange(half) * 2.0 / dimension))
    cos, sin = numpy.cos(angles), numpy.sin(angles)
    a, b = x[..., :half], x[..., half:]
    return numpy.concatenate([a * cos - b * sin, b * cos + a * sin], -1)


def softmax(x):
    e = numpy.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def logits(tensors, config, tokens):
    """[time, vocabulary] of one sequence."""
    heads, groups, dimension = (config[k] for k in ("num_attention_heads", "num_key_value_heads", "head_dim"))
    epsilon, time = config["rms_norm_eps"], len(tokens)
    causal = numpy.where(numpy.tril(numpy.ones((time, time), bool)), 0, -numpy.inf)
    stream = tensors["model.embed_tokens.weight"][tokens]
    for layer in range(config["num_hidden_layers"]):
        def weight(name):
            return tensors[f"model.layers.{layer}.{name}.weight"]

        x = normalised(stream, weight("input_layernorm"), epsilon)
        q = (x @ weight("self_attn.q_proj").T).reshape(time, heads, dimension).transpose(1, 0, 2)
        k = (x @ weight("self_attn.k_proj").T).reshape(time, groups, dimension).transpose(1, 0, 2)
        v = (x @ weight("self_attn.v_proj").T).reshape(time, groups, dimension).transpose(1, 0, 2)
        q, k = rotated(q, config["rope_theta"]), rotated(k, config["rope_theta"])
        k, v = (numpy.repeat(t, heads // groups, axis=0) for t in (k, v))
        o = softmax(q @ k.transpose(0, 2, 1) / dimension**0.5 + causal) @ v
        stream = stream + o.transpose(1, 0, 2).reshape(time, heads * dimension) @ weight("self_attn.o_proj").T
        x = normalised(stream, weight("post_attention_layernorm"), epsilon)
        gate, up = x @ weight("mlp.gate_proj").T, x @ weight("mlp.up_proj").T
        stream = stream + (gate / (1 + numpy.exp(-gate)) * up) @ weight("mlp.down_proj").T
    head = tensors["model.embed_tokens.weight" if config["tie_word_embeddings"] else "lm_head.weight"]
    return normalised(stream, tensors["model.norm.weight"], epsilon) @ head.T


def loss(folder, batch):
    tensors = read_safetensors(f"{folder}/model.safetensors")
    with open(f"{folder}/config.json", encoding="utf-8") as file:
        config = json.load(file)
    if config["architectures"] != ["LlamaForCausalLM"] or config["hidden_act"] != "silu":
        raise ValueError("not a Llama as Hugging Face has it")
    nats = count = 0
    for tokens, targets, mask in zip(batch["tokens"], batch["targets"], batch["mask"]):
        x = logits(tensors, config, tokens)
        most = x.max(-1)
        losses = most + numpy.log(numpy.exp(x - most[:, None]).sum(-1)) - x[numpy.arange(len(targets)), targets]
        nats += (losses * numpy.array(mask)).sum()
        count += sum(mask)
    return nats / count


if __name__ == "__main__":
    with open(sys.argv[2], encoding="utf-8") as tokens_file:
        print(json.dumps({"loss": loss(sys.argv[1], json.load(tokens_file))}))
