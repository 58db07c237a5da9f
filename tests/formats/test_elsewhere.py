#!/usr/bin/env python3
"""What docs/formats-names.md says of other packages, held against them: test_elsewhere.py ISOLOSS REPRESENT. Skipped where
torch, torchao or compressed-tensors are missing; ISOLOSS_TORCH_PYTHON names an interpreter that has them. TAP output."""
import os
import subprocess
import sys

other = os.environ.get("ISOLOSS_TORCH_PYTHON")
if other and "ISOLOSS_TORCH_AGAIN" not in os.environ:
    os.environ["ISOLOSS_TORCH_AGAIN"] = "1"
    os.execv(other, [other, *sys.argv])
try:
    import torch
    from compressed_tensors.quantization import QuantizationArgs
    from compressed_tensors.quantization.lifecycle.forward import fake_quantize
    from compressed_tensors.quantization.utils import calculate_qparams
    from torchao.prototype.mx_formats.config import ScaleCalculationMode
    from torchao.prototype.mx_formats.mx_tensor import MXTensor
    from torchao.prototype.mx_formats.nvfp4_tensor import NVFP4Tensor, per_tensor_amax_to_scale
    from torchao.quantization.quant_primitives import (MappingType, choose_qparams_affine, dequantize_affine,
                                                       quantize_affine)
except ImportError as missing:
    print(f"1..0 # SKIP {missing}; ISOLOSS_TORCH_PYTHON names an interpreter with torch, torchao and compressed-tensors")
    sys.exit()

sys.path.insert(0, os.path.join(sys.path[0], ".."))
from harness import case, check, finish  # noqa: E402

REPRESENT = os.path.abspath(sys.argv[2])
ROWS, COLUMNS = 64, 128
torch.manual_seed(5)
gauss = torch.randn(ROWS, COLUMNS)
tails = torch.distributions.StudentT(3.0).sample((ROWS, COLUMNS))
DATA = {"gaussian": gauss, "small": gauss * 1e-6, "large": gauss * 1e12, "heavy tails": tails,
        "outliers": torch.where(torch.rand(ROWS, COLUMNS) < 0.001, gauss * 50, gauss),
        "half zeros": torch.where(torch.rand(ROWS, COLUMNS) < 0.5, torch.zeros(1), gauss)}


def ours(name, x):
    done = subprocess.run([REPRESENT, name, str(x.shape[0]), str(x.shape[1])], input=x.contiguous().numpy().tobytes(),
                          capture_output=True, check=True)
    return torch.frombuffer(bytearray(done.stdout), dtype=torch.float32).reshape(x.shape)


def same(name, theirs, ulps=0, data=DATA):
    """Values are the same on all data, or as near as so many last places."""
    for what, x in data.items():
        a, b = ours(name, x), theirs(x).float()
        apart = (a - b).abs() > ulps * torch.finfo(torch.float32).eps * torch.maximum(a.abs(), b.abs())
        check(not apart.any(), f"{name}, {what}: {int(apart.sum())} of {apart.numel()} differ",
              *[f"{x[i].item():.9g}: {a[i].item():.9g} here, {b[i].item():.9g} there" for i in map(tuple, apart.nonzero()[:3])])


def mx(element, mode):
    return lambda x: MXTensor.to_mx(x, element, 32, scaling_mode=mode).dequantize(torch.float32)


def compressed(**options):
    """compressed-tensors: scales from the extremes along rows, groups or the whole, then its fake quantization."""
    args = QuantizationArgs(symmetric=True, **options)

    def quantize(x):
        group = options.get("group_size")
        parts = x.reshape(x.shape[0], -1, group) if group else x
        low, high = (parts.amin(), parts.amax()) if options["strategy"] == "tensor" else (
            parts.amin(-1, keepdim=not group), parts.amax(-1, keepdim=not group))
        scale, zero = calculate_qparams(low, high, args)
        return fake_quantize(x, scale, zero, args)
    return quantize


def torchao_int(bits, lowest, block):
    """torchao's affine primitives, symmetric."""
    def quantize(x):
        size, highest = block(x), 2 ** (bits - 1) - 1
        scale, zero = choose_qparams_affine(x, MappingType.SYMMETRIC, size, torch.int8, lowest, highest,
                                            scale_dtype=torch.float32, eps=1e-30)
        codes = quantize_affine(x, size, scale, zero, torch.int8, lowest, highest)
        return dequantize_affine(codes, size, scale, zero, torch.int8, lowest, highest)
    return quantize


@case
def elements():
    near = {"near": gauss * 3, "fine": gauss * 1e-3}
    same("fp8-e4m3[static(1),no-hadamard]", lambda x: x.clamp(-448, 448).to(torch.float8_e4m3fn), data=near)
    same("fp8-e5m2[static(1),no-hadamard]", lambda x: x.clamp(-57344, 57344).to(torch.float8_e5m2), data=near)


@case
def microscaling():
    elements = {"mxfp4": torch.float4_e2m1fn_x2, "mxfp8": torch.float8_e4m3fn, "mxfp8-e5m2": torch.float8_e5m2,
                "mxfp6-e2m3": "fp6_e2m3", "mxfp6-e3m2": "fp6_e3m2"}
    for name, element in elements.items():
        same(name, mx(element, ScaleCalculationMode.FLOOR))
        same(f"{name}[power-even]", mx(element, ScaleCalculationMode.EVEN))
    for name in ("mxfp4", "mxfp8"):
        same(f"{name}[power-ceil]", mx(elements[name], ScaleCalculationMode.RCEIL))


@case
def even_is_another_rule():
    theirs = mx(torch.float4_e2m1fn_x2, ScaleCalculationMode.EVEN)(gauss)
    for name in ("mxfp4", "mxfp4[power-ceil]", "mxfp4[power-round]"):
        check((ours(name, gauss) != theirs).any(), f"{name} is not EVEN")


@case
def groups_with_a_zero():
    """compressed-tensors' symmetric groups; the most negative value of one stands at the tie -7.5, and may take -7 there."""
    theirs = compressed(num_bits=4, type="int", strategy="group", group_size=32)
    for what, x in DATA.items():
        a, b = ours("int4-zero-g32", x), theirs(x).float()
        step = x.reshape(-1, 32).abs().amax(-1, keepdim=True) / 7.5
        apart = ((a - b).reshape(-1, 32) / step.clamp(min=1e-30)).abs() > 1e-5
        lowest = (x.reshape(-1, 32) / step.clamp(min=1e-30)) < -7.4999
        check(not (apart & ~lowest).any(), f"{what}: {int((apart & ~lowest).sum())} values differ")
        check(int(apart.sum()) < 0.35 * max(1, int(lowest.sum())), f"{what}: {int(apart.sum())} of {int(lowest.sum())} lowest")


@case
def two_level_fp4():
    def theirs(x):
        return NVFP4Tensor.to_nvfp4(x, per_tensor_scale=per_tensor_amax_to_scale(x.abs().max())).dequantize(torch.float32)
    data = {what: x for what, x in DATA.items() if what not in ("small", "large")}
    same("nvfp4", theirs, ulps=2, data=data)
    zeros = torch.zeros(ROWS, COLUMNS)
    check((ours("nvfp4", zeros) == 0).all() and theirs(zeros).isnan().any(), "zeros are NaN there, zeros here")


@case
def integers():
    same("int8-tread[absmax,tensor,no-hadamard]", torchao_int(8, -127, lambda x: x.shape), ulps=1)
    same("int8-tread[absmax,row,no-hadamard]", torchao_int(8, -127, lambda x: (1, x.shape[1])), ulps=2)
    same("int4-twos[absmax,group(32),no-hadamard]", torchao_int(4, -7, lambda x: (1, 32)), ulps=2)


@case
def compressed_tensors():
    same("fp8-e4m3[absmax,row,no-hadamard]", compressed(num_bits=8, type="float", strategy="channel"), ulps=2)


@case
def scales_of_integers_elsewhere():
    """Both take the whole range of two's complement for the scale: the largest magnitude over 7.5 or 127.5."""
    x = gauss[:, :32]
    most = x.abs().amax(-1)
    for bits in (4, 8):
        scale, _ = calculate_qparams(x.amin(-1), x.amax(-1),
                                     QuantizationArgs(num_bits=bits, type="int", symmetric=True, strategy="channel"))
        check(torch.allclose(scale.float().flatten(), most / (2 ** bits - 1) * 2, rtol=1e-6), f"compressed-tensors, {bits} bits",
              (most / scale.float().flatten())[:3])
        scale, _ = choose_qparams_affine(x, MappingType.SYMMETRIC, (1, 32), torch.int8, -2 ** (bits - 1), 2 ** (bits - 1) - 1,
                                         scale_dtype=torch.float32)
        check(torch.allclose(scale.flatten(), most / (2 ** bits - 1) * 2, rtol=1e-6), f"torchao, {bits} bits", (most / scale.flatten())[:3])


@case
def two_of_four():
    def theirs(x):
        parts = x.reshape(-1, 4)
        kept = torch.zeros_like(parts, dtype=torch.bool).scatter(1, parts.abs().topk(2, dim=1).indices, True)
        return (parts * kept).reshape(x.shape)
    same("2:4", theirs, data={what: x for what, x in DATA.items() if what != "half zeros"})


finish()
