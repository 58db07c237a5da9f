// Fitted laws as source text: what the languages share.
#pragma once
#include "fitting/law_internal.h"

struct exporting {
  const struct law *law;
  const struct coefficient *coefficients;
  size_t count;
  const struct fit_derived *derived;
  size_t derived_count;
  enum export_language language;
  struct text *out;
  struct error *error;
  struct arena arena;
  const char **names;  // [law columns and parameters]: identifiers, columns first
  bool *textual;       // [law columns]: holds texts
  unsigned helpers;    // that the formula needs: bits of enum export_helper
};
enum { EXPORT_FUNCTION = 1 };  // the byte that stands for the function's name in an expression
enum export_helper {
  HELPER_LOGSUMEXP = 1,
  HELPER_ROUND = 2,
  HELPER_DIVIDE = 4,
  HELPER_POWER = 8,
  HELPER_EXP = 16,
  HELPER_LOG = 32,
  HELPER_MODULO = 64,
  HELPER_SQRT = 128,
  HELPER_FLOOR = 256,
};

// The identifiers of columns and parameters in the language, all different.
void export_name(struct exporting *exporting);
const char *export_column(const struct exporting *exporting, const char *name);
const char *export_parameter(const struct exporting *exporting, const char *name);
// A name as an identifier of the language.
const char *export_identifier(struct exporting *exporting, const char *name);
// A number that reads back as the same double, as the language writes it.
void export_number(const struct exporting *exporting, double value, struct text *out);
// A string literal of the language.
void export_string(const struct exporting *exporting, const char *value, struct text *out);
// The tree as an expression of C or Python; numbers in double precision, conditions as the language has them.
bool export_expression(struct exporting *exporting, const struct expression_node *node, struct text *out);
bool export_latex(struct exporting *exporting, const char *name, const char *about);
