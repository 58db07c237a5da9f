// Which parameters a law's formula is linear in, found from its tree: those whose coefficients can be solved for when
// the others are given (variable projection, Golub and Pereyra 1973).
#include <stdlib.h>
#include <string.h>

#include "fitting/law_internal.h"

enum { NOT_LINEAR = 2 };  // a degree beyond 1

// The degree of a node in the marked parameters together: 0, 1 or NOT_LINEAR.
static int degree_of(const struct law *law, const struct expression_node *node, const bool *marked) {
  int own = 0, highest = 0;
  if (node->kind == EXPRESSION_NAME || node->kind == EXPRESSION_INDEXED) {
    int parameter = law_find_parameter(law, node->text);
    own = parameter >= 0 && marked[parameter];
  }
  int *degrees = memory_get(((size_t)node->count + 1) * sizeof *degrees), total = 0;
  for (int i = 0; i < node->count; i++) {
    degrees[i] = degree_of(law, node->arguments[i], marked);
    total += degrees[i];
    if (degrees[i] > highest) highest = degrees[i];
  }
  bool sum = node->kind == EXPRESSION_ADD || node->kind == EXPRESSION_SUBTRACT || node->kind == EXPRESSION_NEGATE ||
             (node->kind == EXPRESSION_CALL && (strcmp(node->text, "sum") == 0 || strcmp(node->text, "mean") == 0));
  int degree = highest ? NOT_LINEAR : 0;
  if (!node->count)
    degree = own;
  else if (sum)
    degree = highest;
  else if (node->kind == EXPRESSION_MULTIPLY)
    degree = total < NOT_LINEAR ? total : NOT_LINEAR;
  else if (node->kind == EXPRESSION_DIVIDE && !degrees[1])
    degree = degrees[0];
  else if (node->kind == EXPRESSION_CONDITION && !degrees[0])
    degree = highest;
  free(degrees);
  return degree;
}

void law_linear(const struct law *law, const bool *candidates, bool *linear) {
  memset(linear, 0, (size_t)law->parameter_count * sizeof *linear);
  for (int p = 0; p < law->parameter_count; p++) {
    if (!candidates[p]) continue;
    linear[p] = true;
    if (degree_of(law, law->formula->root, linear) > 1) linear[p] = false;
  }
}
