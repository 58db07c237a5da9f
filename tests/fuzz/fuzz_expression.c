// Fuzz target: any text as a law's formula. It is refused with a place, or it compiles, and then the compiled program
// and the evaluator agree.
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/program_internal.h"
#include "tests/fuzz/fuzz.h"

static const char rows[] =
    "N,D,loss,format,x,step,schedule\n1e6,2e7,3.5,none,0,30,0:0 10:1e-3 40:0\n"
    "2e6,1e8,3.1,w4a4,-1,40,0:0 10:1e-3 40:0\n5e6,4e8,2.9,w2,2,9,0:2e-3 9:1e-3:cosine\n";

static void try_formula(const char *formula) {
  struct error error = {0};
  struct arena arena = {0};
  struct expression *expression = expression_parse(&arena, formula, &error);
  if (!expression) {
    if (!error.code || !*error.text) abort();
    arena_free(&arena);
    return;
  }
  struct law law = {.name = "fuzz", .target = "loss", .formula = expression};
  struct law_parameter parameters[] = {{.name = "a", .positive = true, .high = INFINITY},
                                       {.name = "b", .low = -INFINITY, .high = INFINITY},
                                       {.name = "eff", .positive = true, .high = INFINITY, .by = "format"}};
  law.parameters = parameters;
  law.parameter_count = 3;
  struct element elements[] = {{.name = "a", .parameter = 0, .logarithmic = true},
                               {.name = "b", .parameter = 1},
                               {.name = "none", .parameter = 2, .category = "none", .logarithmic = true},
                               {.name = "w4a4", .parameter = 2, .category = "w4a4", .logarithmic = true},
                               {.name = "w2", .parameter = 2, .category = "w2", .logarithmic = true}};
  double x[] = {0.3, -1.5, 0, -0.4, -1};
  struct table table;
  size_t order[] = {0, 1, 2};
  if (!table_parse_csv(&table, "fuzz.csv", rows, sizeof rows - 1, NULL, 0, &error)) abort();
  const struct expression_node *tree = law_expand(&arena, &law, expression->root, &error);
  bool sound = tree != NULL;  // what law_check refuses in a file is refused here
  for (int i = 0; sound && i < expression->name_count; i++) {
    const struct expression_name *name = &expression->names[i];
    bool indexed = strcmp(name->name, "eff") == 0,
         scalar = strcmp(name->name, "a") == 0 || strcmp(name->name, "b") == 0;
    if (indexed)
      sound = name->index && (name->index_quoted || strcmp(name->index, "format") == 0);
    else
      sound = !name->index && (scalar || table_find(&table, name->name) >= 0);
  }
  if (sound) law.formula = expression_from_node(&arena, tree);
  for (int residual = 0; sound && residual < 2; residual++) {
    struct program *program = program_compile(&arena, &law, &table, (struct row_list){order, 3}, elements, 5,
                                              (enum law_residual)residual, &error);
    if (!program) {
      if (!error.code) abort();
      break;
    }
    struct program_state *state = program_state_new(&arena, program);
    const double *adjoint[PROGRAM_LEAVES];
    program_begin(state, x);
    program_forward(state, 0, program->padded);
    program_backward(state, 0, program->padded, adjoint);
  }
  table_free(&table);
  arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  char *text = fuzz_text(bytes, length);
  try_formula(text);
  free(text);
  return 0;
}
