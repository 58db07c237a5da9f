// The passes of one instruction set level: compiled once per level with SIMD_LEVEL set.
#include "kernels/formats/pass_quantize.h"
#include "kernels/formats/pass_random.h"
#include "kernels/formats/pass_transform.h"

#if SIMD_LEVEL == 2
const struct format_level format_level_avx512 = {
    .isa = ISA_AVX512,
#elif SIMD_LEVEL == 1
const struct format_level format_level_avx2 = {
    .isa = ISA_AVX2,
#else
const struct format_level format_level_portable = {
    .isa = ISA_PORTABLE,
#endif
    .quantize = quantize_pass,
    .transform = transform_pass,
    .inverse = inverse_pass,
    .statistics = statistics_pass,
    .scales = scales_pass,
    .learned = learned_pass,
    .transpose = transpose_pass,
    .random_words = random_words_pass,
};
