// A fitted law as LaTeX: the formula as it is written in the law (with its definitions below it), and one table row a
// coefficient with its interval.
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "fitting/export_internal.h"

// Levels of binding, as the parser has them.
enum level {
  LEVEL_CONDITION,
  LEVEL_OR,
  LEVEL_AND,
  LEVEL_COMPARE,
  LEVEL_SUM,
  LEVEL_PRODUCT,
  LEVEL_SIGN,
  LEVEL_POWER,
  LEVEL_ATOM
};

static const char *const greek[] = {"alpha", "beta",  "gamma",  "delta", "epsilon", "zeta",  "eta", "theta",
                                    "iota",  "kappa", "lambda", "mu",    "nu",      "xi",    "pi",  "rho",
                                    "sigma", "tau",   "phi",    "chi",   "psi",     "omega", NULL};

// Text within \text{} or \mathrm{}, its special characters escaped.
static void plain(const char *text, size_t length, struct text *out) {
  for (size_t i = 0; i < length; i++) {
    char c = text[i];
    if (strchr("#$%&_{}", c))
      text_format(out, "\\%c", c);
    else if (c == '\\' || c == '^' || c == '~')
      text_format(out, "\\char`\\%c{}", c);
    else
      text_char(out, c);
  }
}

static void symbol_part(const char *text, size_t length, struct text *out) {
  for (int i = 0; greek[i]; i++)
    if (strlen(greek[i]) == length && strncmp(greek[i], text, length) == 0) {
      text_format(out, "\\%s", greek[i]);
      return;
    }
  if (length == 1) {
    text_char(out, *text);
    return;
  }
  text_add(out, "\\mathrm{");
  plain(text, length, out);
  text_char(out, '}');
}

// parameters, tokens and flops as N, D and C; alpha as \alpha; eff_N with a subscript.
static void symbol(const char *name, struct text *out) {
  static const char *const shorts[][2] = {{"parameters", "N"}, {"tokens", "D"}, {"flops", "C"}};
  for (int i = 0; i < 3; i++)
    if (strcmp(shorts[i][0], name) == 0) name = shorts[i][1];
  const char *below = strchr(name, '_');
  if (!below || below == name || !below[1]) {
    symbol_part(name, strlen(name), out);
    return;
  }
  symbol_part(name, (size_t)(below - name), out);
  text_add(out, "_{");
  symbol_part(below + 1, strlen(below + 1), out);
  text_char(out, '}');
}

static void latex_number(double value, struct text *out) {
  char number[32];
  number_shortest(value, number);
  char *e = strchr(number, 'e');
  if (!e) {
    text_add(out, number);
    return;
  }
  *e = '\0';
  int power = 0;
  sscanf(e + 1, "%d", &power);
  if (strcmp(number, "1") != 0) text_format(out, "%s \\cdot ", number);
  text_format(out, "10^{%d}", power);
}

static bool latex(struct exporting *exporting, const struct expression_node *node, enum level outer, struct text *out);

static bool joined(struct exporting *exporting, const struct expression_node *node, enum level level, enum level right,
                   const char *sign, struct text *out) {
  for (int i = 0; i < node->count; i++) {
    if (i) text_add(out, sign);
    if (!latex(exporting, node->arguments[i], i ? right : level, out)) return false;
  }
  return true;
}

static bool braced(struct exporting *exporting, const struct expression_node *node, const char *before,
                   const char *after, struct text *out) {
  text_add(out, before);
  if (!latex(exporting, node, LEVEL_CONDITION, out)) return false;
  text_add(out, after);
  return true;
}

static bool latex_call(struct exporting *exporting, const struct expression_node *node, struct text *out) {
  static const char *const operators[] = {"exp", "log", "tanh", "sin", "cos", "min", "max", NULL};
  struct expression_node **a = node->arguments;
  const char *name = node->text;
  if (strcmp(name, "sqrt") == 0) return braced(exporting, a[0], "\\sqrt{", "}", out);
  if (strcmp(name, "abs") == 0) return braced(exporting, a[0], "\\left|", "\\right|", out);
  if (strcmp(name, "floor") == 0) return braced(exporting, a[0], "\\left\\lfloor ", "\\right\\rfloor ", out);
  if (strcmp(name, "ceil") == 0) return braced(exporting, a[0], "\\left\\lceil ", "\\right\\rceil ", out);
  if (strcmp(name, "pow") == 0) {
    return latex(exporting, a[0], LEVEL_ATOM, out) && braced(exporting, a[1], "^{", "}", out);
  }
  if (expression_is_sum_over(node) && node->count == 3)  // of the pieces k up to the row's step
    return braced(exporting, a[1], "\\sum_{k \\leq ", "} ", out) && latex(exporting, a[2], LEVEL_PRODUCT, out);
  bool known = false;
  for (int i = 0; operators[i]; i++) known |= strcmp(operators[i], name) == 0;
  if (strcmp(name, "log2") == 0 || strcmp(name, "log10") == 0)
    text_format(out, "\\log_{%s}", name + 3);
  else if (known)
    text_format(out, "\\%s", name);
  else if (law_find_definition(exporting->law, name) >= 0)
    symbol(name, out);
  else
    text_format(out, "\\operatorname{%s}", name);
  text_add(out, "\\left(");
  for (int i = 0; i < node->count; i++) {
    if (i) text_add(out, ", ");
    if (!latex(exporting, a[i], LEVEL_CONDITION, out)) return false;
  }
  text_add(out, "\\right)");
  return true;
}

static enum level level_of(const struct expression_node *node) {
  switch (node->kind) {
    case EXPRESSION_CONDITION:
    case EXPRESSION_IN:
      return LEVEL_CONDITION;
    case EXPRESSION_OR:
      return LEVEL_OR;
    case EXPRESSION_AND:
    case EXPRESSION_NOT:
      return LEVEL_AND;
    case EXPRESSION_EQUAL:
    case EXPRESSION_UNEQUAL:
    case EXPRESSION_LESS:
    case EXPRESSION_LESS_EQUAL:
    case EXPRESSION_GREATER:
    case EXPRESSION_GREATER_EQUAL:
      return LEVEL_COMPARE;
    case EXPRESSION_ADD:
    case EXPRESSION_SUBTRACT:
      return LEVEL_SUM;
    case EXPRESSION_MULTIPLY:
    case EXPRESSION_MODULO:
      return LEVEL_PRODUCT;
    case EXPRESSION_NEGATE:
      return LEVEL_SIGN;
    case EXPRESSION_POWER:
      return LEVEL_POWER;
    default:
      return LEVEL_ATOM;
  }
}

static bool latex_name(const struct expression_node *node, struct text *out) {
  symbol(node->text, out);
  if (!node->index) return true;
  text_add(out, "[\\mathrm{");
  plain(node->index, strlen(node->index), out);
  text_add(out, "}]");
  return true;
}

// What is written between two arguments, and how strongly each must hold together to go without parentheses.
static const struct infix {
  enum level left, right;
  const char *sign;
} infixes[EXPRESSION_CALL + 1] = {
    [EXPRESSION_ADD] = {LEVEL_SUM, LEVEL_SUM, " + "},
    [EXPRESSION_SUBTRACT] = {LEVEL_SUM, LEVEL_PRODUCT, " - "},
    [EXPRESSION_MODULO] = {LEVEL_PRODUCT, LEVEL_SIGN, " \\bmod "},
    [EXPRESSION_EQUAL] = {LEVEL_SUM, LEVEL_SUM, " = "},
    [EXPRESSION_UNEQUAL] = {LEVEL_SUM, LEVEL_SUM, " \\neq "},
    [EXPRESSION_LESS] = {LEVEL_SUM, LEVEL_SUM, " < "},
    [EXPRESSION_LESS_EQUAL] = {LEVEL_SUM, LEVEL_SUM, " \\leq "},
    [EXPRESSION_GREATER] = {LEVEL_SUM, LEVEL_SUM, " > "},
    [EXPRESSION_GREATER_EQUAL] = {LEVEL_SUM, LEVEL_SUM, " \\geq "},
    [EXPRESSION_AND] = {LEVEL_AND, LEVEL_AND, " \\land "},
    [EXPRESSION_OR] = {LEVEL_OR, LEVEL_OR, " \\lor "},
};

static bool latex_membership(struct exporting *exporting, const struct expression_node *node, struct text *out) {
  if (!latex(exporting, node->arguments[0], LEVEL_SUM, out)) return false;
  text_add(out, " \\in \\{");
  for (int i = 1; i < node->count; i++) {
    if (i > 1) text_add(out, ", ");
    if (!latex(exporting, node->arguments[i], LEVEL_CONDITION, out)) return false;
  }
  text_add(out, "\\}");
  return true;
}

static bool latex_inner(struct exporting *exporting, const struct expression_node *node, struct text *out) {
  struct expression_node **a = node->arguments;
  const struct infix *infix = &infixes[node->kind];
  if (infix->sign) return joined(exporting, node, infix->left, infix->right, infix->sign, out);
  switch (node->kind) {
    case EXPRESSION_NUMBER:
      latex_number(node->number, out);
      return true;
    case EXPRESSION_BOOLEAN:
      text_add(out, node->number != 0 ? "1" : "0");
      return true;
    case EXPRESSION_TEXT:
      text_add(out, "\\text{");
      plain(node->text, strlen(node->text), out);
      text_char(out, '}');
      return true;
    case EXPRESSION_NAME:
    case EXPRESSION_INDEXED:
      return latex_name(node, out);
    case EXPRESSION_PIECE:
      text_add(out, "\\mathrm{");
      plain(node->text + strlen("piece."), strlen(node->text) - strlen("piece."), out);
      text_add(out, "}_{k}");
      return true;
    case EXPRESSION_NEGATE:
      text_char(out, '-');
      return latex(exporting, a[0], LEVEL_PRODUCT, out);
    case EXPRESSION_NOT:
      text_add(out, "\\lnot ");
      return latex(exporting, a[0], LEVEL_COMPARE, out);
    case EXPRESSION_MULTIPLY: {
      bool numbers = a[1]->kind == EXPRESSION_NUMBER;
      return joined(exporting, node, LEVEL_PRODUCT, LEVEL_PRODUCT, numbers ? " \\cdot " : " \\, ", out);
    }
    case EXPRESSION_DIVIDE:
      return braced(exporting, a[0], "\\frac{", "}", out) && braced(exporting, a[1], "{", "}", out);
    case EXPRESSION_POWER:
      return latex(exporting, a[0], LEVEL_ATOM, out) && braced(exporting, a[1], "^{", "}", out);
    case EXPRESSION_IN:
      return latex_membership(exporting, node, out);
    case EXPRESSION_CONDITION:
      return braced(exporting, a[1], "\\begin{cases} ", " & ", out) &&
             braced(exporting, a[0], "\\text{if } ", " \\\\ ", out) &&
             braced(exporting, a[2], "", " & \\text{otherwise} \\end{cases}", out);
    case EXPRESSION_CALL:
      return latex_call(exporting, node, out);
    default:
      return false;
  }
}

static bool latex(struct exporting *exporting, const struct expression_node *node, enum level outer, struct text *out) {
  // A sign within a sum or product, and a fraction that is raised, need their parentheses too.
  enum level own = level_of(node);
  bool wrap = own < outer || (node->kind == EXPRESSION_DIVIDE && outer == LEVEL_ATOM) ||
              (node->kind == EXPRESSION_NUMBER && node->number < 0);
  if (wrap) text_add(out, "\\left(");
  if (!latex_inner(exporting, node, out)) return false;
  if (wrap) text_add(out, "\\right)");
  return true;
}

static bool write_definition(struct exporting *exporting, const struct law_definition *definition) {
  struct text *out = exporting->out;
  text_add(out, "\\[ ");
  symbol(definition->name, out);
  for (int i = 0; i < definition->argument_count; i++) {
    text_add(out, i ? ", " : "(");
    symbol(definition->arguments[i], out);
  }
  if (definition->argument_count) text_char(out, ')');
  text_add(out, " = ");
  if (!latex(exporting, definition->expression->root, LEVEL_CONDITION, out)) return false;
  text_add(out, " \\]\n");
  return true;
}

static void latex_rounded(double value, int digits, struct text *out) {
  char number[32];
  if (isnan(value)) {
    text_add(out, "--");
    return;
  }
  double rounded;
  number_parse(number_digits(value, digits, number), &rounded);
  text_char(out, '$');
  latex_number(rounded, out);
  text_char(out, '$');
}

// What the table says of a value: brackets hold one that the data do not determine, a limit on one side is an
// inequality, and only what has two ends has an interval. Four digits, or as many as set the ends apart.
static void latex_cells(struct exporting *exporting, enum coefficient_status status, double value, double low,
                        double high, const char *note) {
  struct text *out = exporting->out;
  int digits = interval_digits(low, high, 4);
  bool zero = fit_is_zero(status, value, high), open = status == COEFFICIENT_UNIDENTIFIED;
  bool bound = zero || status == COEFFICIENT_AT_LOW || status == COEFFICIENT_AT_HIGH;
  text_add(out, open ? "(" : "");
  latex_rounded(zero ? 0 : value, digits, out);
  text_add(out, open ? ")" : bound ? " (bound)" : "");
  text_add(out, " & ");
  if (open || (isnan(low) && isnan(high))) {
    const char *words = status == COEFFICIENT_FITTED ? "--" : open && note ? note : coefficient_status_name(status);
    plain(words, strlen(words), out);
  } else if (isnan(low) || isnan(high)) {
    text_add(out, isnan(low) ? "$\\leq$ " : "$\\geq$ ");
    latex_rounded(isnan(low) ? high : low, digits, out);
  } else {
    latex_rounded(low, digits, out);
    text_add(out, " to ");
    latex_rounded(high, digits, out);
  }
  text_add(out, " \\\\\n");
}

static void write_table(struct exporting *exporting, const char *name) {
  struct text *out = exporting->out;
  text_add(out, "\n\\begin{tabular}{lrr}\n\\toprule\n");
  plain(name, strlen(name), out);
  text_add(out, " & value & interval \\\\\n\\midrule\n");
  for (size_t i = 0; i < exporting->count; i++) {
    const struct coefficient *c = &exporting->coefficients[i];
    text_char(out, '$');
    symbol(c->parameter, out);
    if (c->category) {
      text_add(out, "[\\mathrm{");
      plain(c->category, strlen(c->category), out);
      text_add(out, "}]");
    }
    text_add(out, "$ & ");
    latex_cells(exporting, c->status, c->value, c->low, c->high, c->note);
  }
  bool ruled = false;
  for (size_t i = 0; i < exporting->derived_count; i++) {
    const struct fit_derived *d = &exporting->derived[i];
    if (strchr(d->name, '[')) continue;  // at a value of a column: many, and long
    if (!ruled) text_add(out, "\\midrule\n");
    ruled = true;
    text_char(out, '$');
    symbol(d->name, out);
    text_add(out, "$ & ");
    latex_cells(exporting, d->status, d->value, d->low, d->high, d->note);
  }
  text_add(out, "\\bottomrule\n\\end{tabular}\n");
}

bool export_latex(struct exporting *exporting, const char *name, const char *about) {
  const struct law *law = exporting->law;
  struct text *out = exporting->out;
  struct error unused = {0};
  for (const char *at = about; *at;) {
    size_t length = strcspn(at, "\n");
    text_format(out, "%% %.*s\n", (int)length, at);
    at += length + (at[length] == '\n');
  }
  text_format(out, "%% needs \\usepackage{amsmath}; the table \\usepackage{booktabs}\n\\[ ");
  symbol(strcmp(law->target, "loss") == 0 ? "L" : law->target, out);
  text_add(out, " = ");
  // as it was written: definitions keep their names
  const struct expression *formula = expression_parse(&exporting->arena, law->formula_text, &unused);
  if (!formula || !latex(exporting, formula->root, LEVEL_CONDITION, out)) return false;
  text_add(out, " \\]\n");
  for (int d = 0; d < law->definition_count; d++)
    if (!write_definition(exporting, &law->definitions[d])) return false;
  write_table(exporting, name);
  return true;
}
