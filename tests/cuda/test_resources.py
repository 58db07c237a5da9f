"""Reads the compiler's resource report of the CUDA kernels: no kernel that runs in a training step may spill registers
or keep arrays in local memory. The report is what -Xptxas -v printed when the backend was compiled."""

import re
import sys

# Substrings of mangled names. fill_normal is run once and may call the slow path of cos with a stack of its own.
HOT = ["adamw_kernel", "add_losses_kernel", "add_rows_kernel", "attention_dots_kernel", "attention_forward_kernel",
       "attention_key_gradient_kernel", "attention_mma_dots_kernel", "attention_mma_forward_kernel",
       "attention_mma_key_gradient_kernel", "attention_mma_query_gradient_kernel", "attention_query_gradient_kernel",
       "check_ids_kernel", "choice_kernel", "convert_kernel", "cross_entropy_kernel", "embedding_forward_kernel",
       "embedding_join_kernel", "embedding_segments_kernel", "hadamard_signs_kernel", "learned_rows_kernel",
       "learned_sum_kernel", "momentum_kernel", "product_numbers_kernel", "prune_kernel", "qkv_kernel", "represent_kernel", "rmsnorm_backward_kernel",
       "rmsnorm_backward_wide_kernel", "rmsnorm_forward_kernel", "rmsnorm_scale_kernel", "row_statistics_kernel",
       "select_begin_kernel", "select_count_kernel", "select_found_kernel", "select_rows_kernel", "sort_count_kernel", "sort_move_kernel",
       "sort_scan_kernel", "square_scales_kernel", "square_sum_kernel", "swiglu_backward_kernel", "swiglu_forward_kernel",
       "tensor_statistics_kernel", "tie_count_kernel", "tie_place_kernel", "transform_kernel", "transpose_kernel",
       "unit_scales_kernel"]


def main():
    text = open(sys.argv[1]).read()
    pattern = re.compile(r"Compiling entry function '(\S+)' for '(\S+)'.*?(\d+) bytes stack frame, (\d+) bytes spill "
                         r"stores, (\d+) bytes spill loads.*?Used (\d+) registers", re.S)
    kernels = pattern.findall(text)
    failures = [f"{name} ({target}): {stack} bytes of stack, {stores} bytes spilled, {loads} loaded back"
                for name, target, stack, stores, loads, _ in kernels
                if any(hot in name for hot in HOT) and (int(stack) or int(stores) or int(loads))]
    failures += [f"no kernel named {hot} in the report" for hot in HOT if not any(hot in k[0] for k in kernels)]
    print("1..1")
    for failure in failures:
        print("#", failure)
    most = max((int(k[5]), k[0]) for k in kernels) if kernels else (0, "none")
    print(f"# {len(kernels)} kernels; the most registers: {most[0]} ({most[1]})")
    print("not ok 1 - resources" if failures else "ok 1 - resources")
    return 1 if failures else 0


sys.exit(main())
