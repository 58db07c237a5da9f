// The methods, one a file. See compress.h.
#pragma once
#include "trainer/compress/compress.h"

extern const struct compress_method method_rtn, method_gptq, method_babai, method_higgs, method_magnitude,
    method_sparsegpt, method_elsa;
