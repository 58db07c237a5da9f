// Which instruction set levels can run here.
#include "kernels/cpu/isa.h"

#include <stdlib.h>
#include <string.h>

const char *isa_name(enum isa_level level) {
  static const char *const names[ISA_LEVELS] = {"portable", "avx2", "avx512", "avx512-bf16"};
  return names[level];
}

bool isa_find(const char *name, enum isa_level *level) {
  for (int candidate = 0; candidate < ISA_LEVELS; candidate++) {
    if (strcmp(name, isa_name((enum isa_level)candidate)) != 0) continue;
    *level = (enum isa_level)candidate;
    return true;
  }
  return false;
}

bool isa_available(enum isa_level level) {
  if (level == ISA_PORTABLE) return true;
#if defined(__x86_64__)
  __builtin_cpu_init();
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (level == ISA_AVX2) return avx2;
  bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  return level == ISA_AVX512 ? avx512 : avx512 && __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

enum isa_level isa_best(void) {
  for (int level = ISA_LEVELS - 1; level > 0; level--)
    if (isa_available((enum isa_level)level)) return (enum isa_level)level;
  return ISA_PORTABLE;
}

bool isa_choose(const char *name, enum isa_level *level, struct error *error) {
  const char *environment = getenv("ISOLOSS_ISA");
  if (!name && environment && *environment) name = environment;
  *level = isa_best();
  if (name && !isa_find(name, level))
    return error_set(error, EXIT_USAGE_ERROR,
                     "no instruction set level \"%s\" (there are: portable, avx2, avx512, avx512-bf16)", name);
  return isa_available(*level) || error_set(error, EXIT_ENVIRONMENT, "this CPU has no %s; its best level is %s",
                                            isa_name(*level), isa_name(isa_best()));
}
