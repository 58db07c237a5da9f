// What a spec may say: fields, defaults, canonical text, and each refusal with its reason, before anything runs.
#include <stdlib.h>

#include "tests/compress/problem.h"

static const char *resolved(const char *text, struct compress_settings *settings, struct arena *arena) {
  struct error error = {0};
  if (settings_read(text, settings, arena, &error)) return compress_canonical(settings, arena);
  return arena_format(arena, "error: %s", error.text);
}

static void canonical(void) {
  static const char *const table[][2] = {
      {"rtn format=int4-g128", "rtn format=int4-g128 clip=none"},
      {"rtn bits=4 group=128", "rtn format=int4-g128 clip=none"},
      {"rtn format=w4a16", "rtn format=w4 clip=none"},
      {"rtn format=absmax-w8a8", "rtn format=absmax-w8a8 clip=none"},
      {"gptq bits=3", "gptq format=absmax-w3 damping=0.01 order=natural clip=none range=grid"},
      {"gptq bits=3 order=act damping=0.1 clip=mse", "gptq format=absmax-w3 damping=0.1 order=act clip=mse range=grid"},
      {"babai format=nf4 order=reversed", "babai format=nf4 damping=0.01 order=reversed clip=none range=grid"},
      {"higgs", "higgs group=1024 p=2 n=256"},
      {"higgs p=1 n=8 group=64", "higgs group=64 p=1 n=8"},
      {"magnitude", "magnitude format=none sparsity=0.5"},
      {"magnitude pattern=2:4", "magnitude format=none pattern=2:4"},
      {"sparsegpt sparsity=0.7 bits=4", "sparsegpt format=absmax-w4 damping=0.01 sparsity=0.7"},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    struct arena arena = {0};
    struct compress_settings settings;
    CHECK_TEXT(resolved(table[i][0], &settings, &arena), table[i][1]);
    arena_free(&arena);
  }
}

// What an allocation chooses from: each number of bits that the method has, and the same as a spec would write it.
static void options(void) {
  static const struct {
    const char *text;
    int bits;
    const char *becomes;  // NULL: no such option
  } table[] = {
      {"rtn bits=8 group=32", 3, "rtn format=int3-g32 clip=none"},
      {"rtn bits=8 clip=mse", 2, "rtn format=absmax-w2 clip=mse"},
      {"gptq format=nf4 order=act", 5, "gptq format=absmax-w5 damping=0.01 order=act clip=none range=grid"},
      {"higgs group=64", 3, "higgs group=64 p=2 n=64"},
      {"higgs", 1, "higgs group=1024 p=2 n=4"},
      {"higgs", 5, NULL},
      {"higgs p=1 n=8", 4, "higgs group=1024 p=1 n=16"},
      {"higgs p=1 n=8", 5, NULL},
      {"higgs p=4", 2, "higgs group=1024 p=4 n=256"},
      {"higgs p=4", 8, NULL},
      {"magnitude bits=4", 3, NULL},
      {"sparsegpt bits=4", 3, NULL},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    struct arena arena = {0};
    struct error error = {0};
    struct compress_settings settings;
    CHECK(settings_read(table[i].text, &settings, &arena, &error));
    const char *before = compress_canonical(&settings, &arena);
    bool found = compress_set_bits(&settings, table[i].bits);
    CHECK(found == (table[i].becomes != NULL));
    if (found && CHECK(compress_resolve(&settings, &arena, &error)))
      CHECK_TEXT(compress_canonical(&settings, &arena), table[i].becomes);
    if (!found) CHECK_TEXT(compress_canonical(&settings, &arena), before);
    arena_free(&arena);
  }
}

static void refusals(void) {
  static const char *const table[][2] = {
      {"gptq", "needs a format"},
      {"rtn bits=4 format=int4", "leave one out"},
      {"rtn format=int4 group=32", "group goes with bits"},
      {"gptq bits=9", "between 1 and 8"},
      {"gptq bits=four", "a whole number"},
      {"gptq bits=4 order=actt", "did you mean 'act'"},
      {"gptq bits=4 damping=-1", "between 0 and 10"},
      {"gptq format=2:4+int4", "cannot take the format 2:4+int4: it prunes"},
      {"gptq format=noise(0.01)", "noise has no nearest level"},
      {"babai format=int4[stochastic]", "rounds at random"},
      {"rtn format=lsq-w4", "its scale is learned"},
      {"rtn format=sparse(0.5,journey)", "for training"},
      {"rtn format=none", "leaves weights as they are"},
      {"rtn format=a8", "leaves weights as they are"},
      {"rtn format=intt4", "intt4"},
      {"gptq format=mxfp4 range=unbounded", "of integer grids"},
      {"gptq bits=3 range=unbounded clip=mse", "leave one out"},
      {"gptq format=int4 clip=mse", "(absmax)"},
      {"rtn format=vq2-16 clip=mse", "(absmax)"},
      {"gptq format=int8[absmax,tensor] clip=mse", "one scale a matrix"},
      {"gptq format=vq2-16 order=min-pivot", "single inputs"},
      {"higgs p=3 n=16", "no grid of n = 16 points in p = 3"},
      {"higgs n=17", "no grid"},
      {"higgs p=1 n=256", "no grid"},
      {"magnitude pattern=4:2", "N:M"},
      {"magnitude pattern=2:4x", "N:M"},
      {"sparsegpt pattern=2:4 sparsity=0.7", "sparsity 0.7 is next to pattern 2:4"},
      {"sparsegpt sparsity=1.5", "between 0 and 1"},
      {"sparsegpt format=vq2-16[no-hadamard]", "single zeroes"},
      {"sparsegpt format=int4", "Hadamard"},
      {"magnitude format=2:4+int4", "it prunes"},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    struct arena arena = {0};
    struct compress_settings settings;
    const char *text = resolved(table[i][0], &settings, &arena);
    if (!CHECK(starts_with(text, "error: ") && strstr(text, table[i][1]))) printf("# %s: %s\n", table[i][0], text);
    arena_free(&arena);
  }
  const char *nearest;
  CHECK(compress_method_find("gtpq", &nearest) == NULL);
  CHECK_TEXT(nearest, "gptq");
  CHECK(compress_setting_find(compress_method_find("gptq", NULL), "dampening", &nearest) == NULL);
  CHECK_TEXT(nearest, "damping");
  CHECK(compress_setting_find(compress_method_find("higgs", NULL), "damping", &nearest) == NULL);
}

static void shapes(void) {
  static const struct {
    const char *settings;
    int64_t outputs, inputs, tokens;
    const char *why;  // NULL: fine
  } table[] = {
      {"gptq bits=4 group=128", 256, 256, 4096, NULL},
      {"gptq bits=4", 256, 256, 255, "255 calibration tokens are too few for a layer of 256 inputs"},
      {"rtn bits=4", 256, 256, 0, NULL},
      {"magnitude pattern=2:4", 16, 18, 0, "groups of 4 do not divide an axis of 18"},
      {"gptq format=vq2-16[no-hadamard]", 16, 33, 99, "vectors of 2 do not divide"},
      {"rtn format=int4[hadamard(64)]", 16, 96, 0, "does not divide"},
      {"higgs p=4 n=256", 16, 96, 0, NULL},
      {"higgs p=4 n=256", 16, 98, 0, "do not divide"},
      {"higgs p=4 n=256 group=2", 16, 96, 0, "no whole vectors"},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    struct arena arena = {0};
    struct error error = {0};
    struct compress_settings settings;
    CHECK(settings_read(table[i].settings, &settings, &arena, &error));
    bool fine = compress_check_shape(&settings, table[i].outputs, table[i].inputs, &error) &&
                compress_check_tokens(&settings, table[i].inputs, table[i].tokens, &error);
    if (!CHECK(table[i].why ? !fine && strstr(error.text, table[i].why) : fine))
      printf("# %s: %s\n", table[i].settings, error.text);
    arena_free(&arena);
  }
}

// Stored bits are known before anything runs; what activations are is the format's other part.
static void known_before(void) {
  static const struct {
    const char *settings;
    double bits;
    const char *activations;
  } table[] = {{"rtn format=absmax-w8a8", 8, "w(none)a(absmax-int8)"},
               {"gptq bits=4 group=128", 4.125, NULL},
               {"rtn format=nvfp4", 4.5, NULL},
               {"rtn format=nf4", 4.25, NULL},
               {"higgs", 4.0625, NULL},
               {"sparsegpt pattern=2:4", 9, NULL},
               {"magnitude sparsity=0.5 bits=4", 3, NULL}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    struct arena arena = {0};
    struct error error = {0};
    struct compress_settings settings;
    CHECK(settings_read(table[i].settings, &settings, &arena, &error));
    CHECK_NEAR(compress_bits(&settings, 256), table[i].bits, 1e-12);
    const struct format *activations = compress_activations(&settings, &arena);
    if (!table[i].activations)
      CHECK(activations == NULL);
    else if (CHECK(activations != NULL))
      CHECK(representation_is_none(&activations->operands[OPERAND_WEIGHTS]) &&
            activations->operands[OPERAND_ACTIVATIONS].grid.count == 256);
    arena_free(&arena);
  }
}

static void failing(struct problem *p, const char *text, const char *why) {
  struct arena arena = {0};
  struct error error = {0};
  struct compress_settings settings;
  struct compress_layer layer = {
      .outputs = p->outputs, .inputs = p->inputs, .weights = p->weights, .hessian = p->hessian};
  CHECK(settings_read(text, &settings, &arena, &error));
  CHECK(!compress_matrix(&settings, &layer, &p->result, &error));
  if (!CHECK(strstr(error.text, why) != NULL)) printf("# %s\n", error.text);
  arena_free(&arena);
}

static void bad_matrices(void) {
  struct problem p = problem_make(4, 16, 8, 1);  // fewer tokens than inputs
  p.result.represented = p.represented;
  failing(&p, "gptq bits=4 damping=0", "singular");
  failing(&p, "babai bits=4 damping=0", "singular");
  float kept = p.hessian[3];
  p.hessian[3] = NAN;
  failing(&p, "gptq bits=4", "not finite");
  p.hessian[3] = kept;
  memset(p.hessian, 0, 16 * 16 * sizeof(float));
  failing(&p, "gptq bits=4", "is zero");
  p.weights[17] = INFINITY;
  failing(&p, "rtn bits=4", "weight (1, 1) is not finite");
  float *hessian = p.hessian;
  p.weights[17] = 1;
  p.hessian = NULL;
  failing(&p, "sparsegpt", "needs calibration");
  p.hessian = hessian;
  problem_free(&p);
}

int main(int argc, char **argv) {
  RUN(canonical);
  RUN(options);
  RUN(refusals);
  RUN(shapes);
  RUN(known_before);
  RUN(bad_matrices);
  return check_end();
}
