// Instruction set levels: the vectorised passes are compiled once per level and chosen when a device is opened.
#pragma once
#include <stdbool.h>

#include "base/error.h"

enum isa_level { ISA_PORTABLE, ISA_AVX2, ISA_AVX512, ISA_AVX512_BF16 };
#define ISA_LEVELS 4

const char *isa_name(enum isa_level level);  // "portable", "avx2", "avx512", "avx512-bf16"
bool isa_find(const char *name, enum isa_level *level);
// Whether this build has the level and this CPU (and its operating system) can run it.
bool isa_available(enum isa_level level);
enum isa_level isa_best(void);
// The level of that name; NULL: what the environment variable ISOLOSS_ISA names, else the best. False with an error
// when there is no such level (EXIT_USAGE_ERROR) or this CPU cannot run it (EXIT_ENVIRONMENT).
bool isa_choose(const char *name, enum isa_level *level, struct error *error);
