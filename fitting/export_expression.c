// Names, numbers and expressions as C and Python write them.
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "fitting/export_internal.h"
#include "fitting/table_internal.h"

// Words that cannot be names, in either language (one list for both: an export looks the same in each).
static const char *const reserved[] = {
    "auto",     "break",  "case",     "char",     "const",  "continue", "default", "do",       "double",   "else",
    "enum",     "extern", "float",    "for",      "goto",   "if",       "inline",  "int",      "long",     "register",
    "restrict", "return", "short",    "signed",   "sizeof", "static",   "struct",  "switch",   "typedef",  "union",
    "unsigned", "void",   "volatile", "while",    "and",    "as",       "assert",  "async",    "await",    "class",
    "def",      "del",    "elif",     "except",   "False",  "finally",  "from",    "global",   "import",   "in",
    "is",       "lambda", "None",     "nonlocal", "not",    "or",       "pass",    "raise",    "True",     "try",
    "with",     "yield",  "main",     "math",     "exp",    "log",      "log2",    "log10",    "pow",      "sqrt",
    "tanh",     "sin",    "cos",      "fabs",     "fmin",   "fmax",     "fmod",    "floor",    "ceil",     "round",
    "strcmp",   "abs",    "min",      "max",      "sum",    "float",    "NAN",     "INFINITY", "isfinite", "erf",
    "asm",      "typeof", "linux",    "unix",     "match",  "type",     NULL};

const char *export_identifier(struct exporting *exporting, const char *name) {
  size_t length = strlen(name);
  char *made = arena_alloc(&exporting->arena, length + 3);
  char *to = made;
  if (!isalpha((unsigned char)*name)) *to++ = 'x';
  for (const char *from = name; *from; from++) *to++ = isalnum((unsigned char)*from) ? *from : '_';
  for (int i = 0; reserved[i]; i++)
    if (strcmp(reserved[i], made) == 0) {
      *to++ = '_';
      break;
    }
  return made;
}

void export_name(struct exporting *exporting) {
  const struct law *law = exporting->law;
  size_t columns = (size_t)law->column_count, count = columns + (size_t)law->parameter_count;
  exporting->names = arena_array(&exporting->arena, count + 1, sizeof *exporting->names);
  for (size_t i = 0; i < count; i++) {
    const char *name = i < columns ? law->columns[i] : law->parameters[i - columns].name;
    const char *made = export_identifier(exporting, name);
    for (size_t k = 0; k < i; k++)
      if (strcmp(exporting->names[k], made) == 0) {
        made = arena_format(&exporting->arena, "%s_%zu", made, i + 1);
        k = 0;
      }
    exporting->names[i] = made;
  }
}

const char *export_column(const struct exporting *exporting, const char *name) {
  for (int c = 0; c < exporting->law->column_count; c++)
    if (strcmp(exporting->law->columns[c], name) == 0) return exporting->names[c];
  return name;
}

const char *export_parameter(const struct exporting *exporting, const char *name) {
  int p = law_find_parameter(exporting->law, name);
  return p < 0 ? name : exporting->names[exporting->law->column_count + p];
}

void export_number(const struct exporting *exporting, double value, struct text *out) {
  bool python = exporting->language == EXPORT_PYTHON;
  char number[32];
  if (isnan(value)) {
    text_add(out, python ? "math.nan" : "NAN");
  } else if (isinf(value)) {
    text_format(out, "%s%s", value < 0 ? "-" : "", python ? "math.inf" : "INFINITY");
  } else {
    number_shortest(value, number);
    text_format(out, "%s%s", number, strpbrk(number, ".e") ? "" : ".0");
  }
}

void export_string(const struct exporting *exporting, const char *value, struct text *out) {
  (void)exporting;
  text_char(out, '"');
  for (; *value; value++) {
    unsigned char c = (unsigned char)*value;
    if (c == '"' || c == '\\')
      text_format(out, "\\%c", c);
    else if (c == '?')
      text_add(out, "\\077");  // no trigraphs; the same in both languages
    else if (c < 32 || c == 127)
      text_format(out, "\\%03o", c);
    else
      text_char(out, (char)c);
  }
  text_char(out, '"');
}

static bool all(struct exporting *exporting, const struct expression_node *node, const char *before,
                const char *between, const char *after, struct text *out) {
  text_add(out, before);
  for (int i = 0; i < node->count; i++) {
    if (i) text_add(out, between);
    if (!export_expression(exporting, node->arguments[i], out)) return false;
  }
  text_add(out, after);
  return true;
}

// min and max of any number of arguments: nested pairs in C.
static bool extreme(struct exporting *exporting, const struct expression_node *node, const char *function,
                    struct text *out) {
  for (int i = 0; i + 1 < node->count; i++) text_format(out, "%s(", function);
  for (int i = 0; i < node->count; i++) {
    if (i) text_add(out, ", ");
    if (!export_expression(exporting, node->arguments[i], out)) return false;
    if (i) text_char(out, ')');
  }
  return true;
}

static bool many(struct exporting *exporting, const struct expression_node *node, struct text *out, bool *known) {
  bool python = exporting->language == EXPORT_PYTHON;
  const char *name = node->text;
  *known = true;
  if (strcmp(name, "sum") == 0) return all(exporting, node, "(", " + ", ")", out);
  if (strcmp(name, "mean") == 0) {
    char end[40];
    snprintf(end, sizeof end, ") / %d.0)", node->count);
    return all(exporting, node, "((", " + ", end, out);
  }
  if (strcmp(name, "min") == 0 || strcmp(name, "max") == 0) {
    bool least = strcmp(name, "min") == 0;
    if (!python) return extreme(exporting, node, least ? "fmin" : "fmax", out);
    if (node->count == 1) return export_expression(exporting, node->arguments[0], out);
    return all(exporting, node, least ? "min(" : "max(", ", ", ")", out);
  }
  if (strcmp(name, "logsumexp") == 0) {
    exporting->helpers |= HELPER_LOGSUMEXP;
    if (python) return all(exporting, node, "_logsumexp(", ", ", ")", out);
    char begin[200];
    snprintf(begin, sizeof begin, "(const double[%d]){", node->count);
    text_format(out, "%c_logsumexp(%d, ", EXPORT_FUNCTION, node->count);
    return all(exporting, node, begin, ", ", "})", out);
  }
  *known = false;
  return true;
}

static bool call(struct exporting *exporting, const struct expression_node *node, struct text *out) {
  static const struct {
    const char *name, *c, *python;
    unsigned helper;
  } ones[] = {{"abs", "fabs(", "abs(", 0},
              {"exp", "exp(", "_exp(", HELPER_EXP},
              {"log", "log(", "_log(", HELPER_LOG},
              {"log2", "log2(", "_log(", HELPER_LOG},
              {"log10", "log10(", "_log(", HELPER_LOG},
              {"sqrt", "sqrt(", "_sqrt(", HELPER_SQRT},
              {"tanh", "tanh(", "math.tanh(", 0},
              {"sin", "sin(", "math.sin(", 0},
              {"cos", "cos(", "math.cos(", 0},
              {"floor", "floor(", "_whole(math.floor, ", HELPER_FLOOR},
              {"ceil", "ceil(", "_whole(math.ceil, ", HELPER_FLOOR},
              {"round", "round(", "_round(", HELPER_ROUND},
              {"pow", "pow(", "_pow(", HELPER_POWER}};
  bool known, python = exporting->language == EXPORT_PYTHON;
  if (!many(exporting, node, out, &known) || known) return known;
  for (size_t i = 0; i < sizeof ones / sizeof *ones; i++) {
    if (strcmp(ones[i].name, node->text) != 0) continue;
    exporting->helpers |= ones[i].helper;
    const char *end = ")";
    if (python && strcmp(node->text, "log2") == 0) end = ", math.log2)";
    if (python && strcmp(node->text, "log10") == 0) end = ", math.log10)";
    return all(exporting, node, python ? ones[i].python : ones[i].c, ", ", end, out);
  }
  return error_set(exporting->error, EXIT_USAGE_ERROR, "the function %s cannot be exported%s", node->text,
                   expression_is_sum_over(node) ? ", except as latex" : "");
}

static bool is_text(const struct exporting *exporting, const struct expression_node *node) {
  if (node->kind == EXPRESSION_TEXT) return true;
  if (node->kind != EXPRESSION_NAME) return false;
  for (int c = 0; c < exporting->law->column_count; c++)
    if (strcmp(exporting->law->columns[c], node->text) == 0) return exporting->textual[c];
  return false;
}

static bool equals(struct exporting *exporting, const struct expression_node *a, const struct expression_node *b,
                   bool equal, struct text *out) {
  bool texts = exporting->language == EXPORT_C && (is_text(exporting, a) || is_text(exporting, b));
  text_add(out, texts ? "(strcmp(" : "(");
  if (!export_expression(exporting, a, out)) return false;
  text_add(out, texts ? ", " : equal ? " == " : " != ");
  if (!export_expression(exporting, b, out)) return false;
  if (texts) text_add(out, equal ? ") == 0" : ") != 0");
  text_char(out, ')');
  return true;
}

static bool name(struct exporting *exporting, const struct expression_node *node, struct text *out) {
  int p = law_find_parameter(exporting->law, node->text);
  if (p < 0) {
    text_add(out, export_column(exporting, node->text));
    return true;
  }
  if (!node->index) {
    text_add(out, export_parameter(exporting, node->text));
    return true;
  }
  // a look-up: chinchilla_eff(format), with one more _ before it in Python
  text_format(out, "%s%c_%s(", exporting->language == EXPORT_PYTHON ? "_" : "", EXPORT_FUNCTION,
              export_parameter(exporting, node->text));
  if (node->index_quoted)
    export_string(exporting, node->index, out);
  else
    text_add(out, export_column(exporting, node->index));
  text_char(out, ')');
  return true;
}

static bool closed(struct text *out) {
  text_char(out, ')');
  return true;
}

// What is written alike in C and Python, between its two arguments.
static const char *const signs[EXPRESSION_CALL + 1] = {
    [EXPRESSION_ADD] = "+",           [EXPRESSION_SUBTRACT] = "-",    [EXPRESSION_MULTIPLY] = "*",
    [EXPRESSION_LESS] = "<",          [EXPRESSION_LESS_EQUAL] = "<=", [EXPRESSION_GREATER] = ">",
    [EXPRESSION_GREATER_EQUAL] = ">="};

// a ? b : c, and the conditions: a number counts as true when it is not 0.
static bool truth(struct exporting *exporting, const struct expression_node *node, struct text *out) {
  bool condition = node->kind >= EXPRESSION_EQUAL && node->kind <= EXPRESSION_IN;
  if (condition || node->kind == EXPRESSION_NOT) return export_expression(exporting, node, out);
  text_char(out, '(');
  if (!export_expression(exporting, node, out)) return false;
  text_add(out, " != 0)");
  return true;
}

static bool two(struct exporting *exporting, const struct expression_node *node, const char *sign, struct text *out) {
  char between[16];
  snprintf(between, sizeof between, " %s ", sign);
  return all(exporting, node, "(", between, ")", out);
}

static bool junction(struct exporting *exporting, const struct expression_node *node, struct text *out) {
  bool both = node->kind == EXPRESSION_AND;
  text_char(out, '(');
  if (!truth(exporting, node->arguments[0], out)) return false;
  if (exporting->language == EXPORT_PYTHON)
    text_add(out, both ? " and " : " or ");
  else
    text_add(out, both ? " && " : " || ");
  return truth(exporting, node->arguments[1], out) && closed(out);
}

static bool membership(struct exporting *exporting, const struct expression_node *node, struct text *out) {
  text_char(out, '(');
  for (int i = 1; i < node->count; i++) {
    if (i > 1) text_add(out, exporting->language == EXPORT_PYTHON ? " or " : " || ");
    if (!equals(exporting, node->arguments[0], node->arguments[i], true, out)) return false;
  }
  if (node->count < 2) text_add(out, "0.0");
  return closed(out);
}

static bool choice(struct exporting *exporting, const struct expression_node *node, struct text *out) {
  struct expression_node **a = node->arguments;
  bool python = exporting->language == EXPORT_PYTHON;
  text_char(out, '(');
  if (!(python ? export_expression(exporting, a[1], out) : truth(exporting, a[0], out))) return false;
  text_add(out, python ? " if " : " ? ");
  if (!(python ? truth(exporting, a[0], out) : export_expression(exporting, a[1], out))) return false;
  text_add(out, python ? " else " : " : ");
  return export_expression(exporting, a[2], out) && closed(out);
}

bool export_expression(struct exporting *exporting, const struct expression_node *node, struct text *out) {
  bool python = exporting->language == EXPORT_PYTHON;
  struct expression_node **a = node->arguments;
  if (signs[node->kind]) return two(exporting, node, signs[node->kind], out);
  switch (node->kind) {
    case EXPRESSION_NUMBER:
      export_number(exporting, node->number, out);
      return true;
    case EXPRESSION_BOOLEAN:
      text_add(out, node->number != 0 ? "1.0" : "0.0");
      return true;
    case EXPRESSION_TEXT:
      export_string(exporting, node->text, out);
      return true;
    case EXPRESSION_NAME:
    case EXPRESSION_INDEXED:
      return name(exporting, node, out);
    case EXPRESSION_NEGATE:
      return all(exporting, node, "(-", "", ")", out);
    case EXPRESSION_NOT:
      text_add(out, python ? "(not " : "(!");
      return truth(exporting, a[0], out) && closed(out);
    case EXPRESSION_DIVIDE:
      exporting->helpers |= HELPER_DIVIDE;
      return python ? all(exporting, node, "_div(", ", ", ")", out) : two(exporting, node, "/", out);
    case EXPRESSION_MODULO:
      exporting->helpers |= HELPER_MODULO;
      return all(exporting, node, python ? "_mod(" : "fmod(", ", ", ")", out);
    case EXPRESSION_POWER:
      exporting->helpers |= HELPER_POWER;
      return all(exporting, node, python ? "_pow(" : "pow(", ", ", ")", out);
    case EXPRESSION_EQUAL:
    case EXPRESSION_UNEQUAL:
      return equals(exporting, a[0], a[1], node->kind == EXPRESSION_EQUAL, out);
    case EXPRESSION_AND:
    case EXPRESSION_OR:
      return junction(exporting, node, out);
    case EXPRESSION_IN:
      return membership(exporting, node, out);
    case EXPRESSION_CONDITION:
      return choice(exporting, node, out);
    case EXPRESSION_CALL:
      return call(exporting, node, out);
    default:
      return false;
  }
}
