// Fitted laws as functions of C and Python: the expanded formula is walked once and written out, with the coefficients
// as constants and one look-up function a per-category parameter.
#include <math.h>
#include <string.h>

#include "fitting/export_internal.h"

bool export_parse(const char *text, enum export_language *language, struct error *error) {
  static const char *const names[] = {"c", "python", "latex"};
  for (int i = 0; i < 3; i++) {
    if (strcmp(names[i], text) != 0) continue;
    *language = (enum export_language)i;
    return true;
  }
  return error_set(error, EXIT_USAGE_ERROR, "'%s' is none of the languages c, python, latex", text);
}

// ---- per-category parameters ----

// Categories that all are numbers belong to a column of numbers.
static bool numeric_categories(const struct exporting *exporting, const char *column) {
  double number;
  bool any = false;
  for (size_t i = 0; i < exporting->count; i++) {
    const struct coefficient *c = &exporting->coefficients[i];
    int p = law_find_parameter(exporting->law, c->parameter);
    if (!c->category || p < 0 || !exporting->law->parameters[p].by ||
        strcmp(exporting->law->parameters[p].by, column) != 0)
      continue;
    if (!number_parse(c->category, &number)) return false;
    any = true;
  }
  return any;
}

static void find_texts(struct exporting *exporting) {
  const struct law *law = exporting->law;
  exporting->textual = arena_array(&exporting->arena, (size_t)law->column_count + 1, sizeof *exporting->textual);
  for (int c = 0; c < law->column_count; c++)
    for (int p = 0; p < law->parameter_count; p++)
      if (law->parameters[p].by && strcmp(law->parameters[p].by, law->columns[c]) == 0)
        exporting->textual[c] = !numeric_categories(exporting, law->columns[c]);
  for (int c = 0; c < law->column_count; c++) exporting->textual[c] |= law_compares_text(law, law->columns[c]);
}

static bool is_textual(const struct exporting *exporting, const char *column) {
  for (int c = 0; c < exporting->law->column_count; c++)
    if (strcmp(exporting->law->columns[c], column) == 0) return exporting->textual[c];
  return false;
}

// " // one-sided: at most 3.7" behind a number that the data do not determine, or that lies at a bound; one that is 0
// to every digit is written as it is, and said to be 0.
static void write_status(const struct exporting *exporting, const struct coefficient *c) {
  switch (c->status) {
    case COEFFICIENT_ONE_SIDED:
    case COEFFICIENT_AT_LOW:
    case COEFFICIENT_AT_HIGH:
    case COEFFICIENT_UNIDENTIFIED:
      text_format(exporting->out, "  %s %s%s", exporting->language == EXPORT_PYTHON ? "#" : "//",
                  fit_is_zero(c->status, c->value, c->high) ? "0 (bound); " : "",
                  c->note ? c->note : coefficient_status_name(c->status));
      break;
    default:
      break;
  }
}

// One line a category: if (strcmp(format, "w4a4") == 0) return 0.75;
static void write_lookup(struct exporting *exporting, const char *function, const struct law_parameter *parameter) {
  struct text *out = exporting->out;
  bool python = exporting->language == EXPORT_PYTHON, texts = is_textual(exporting, parameter->by);
  const char *column = export_column(exporting, parameter->by), *name = export_parameter(exporting, parameter->name);
  if (python)
    text_format(out, "def _%s_%s(%s):\n    return {\n", function, name, column);
  else
    text_format(out, "static double %s_%s(%s%s) {\n", function, name, texts ? "const char *" : "double ", column);
  for (size_t i = 0; i < exporting->count; i++) {
    const struct coefficient *c = &exporting->coefficients[i];
    double number = NAN;
    if (strcmp(c->parameter, parameter->name) != 0 || !c->category) continue;
    if (!texts) number_parse(c->category, &number);
    text_add(out, python ? "        " : texts ? "  if (strcmp(" : "  if (");
    if (!python) text_format(out, texts ? "%s, " : "%s == ", column);
    if (texts)
      export_string(exporting, c->category, out);
    else
      export_number(exporting, number, out);
    text_add(out, python ? ": " : texts ? ") == 0) return " : ") return ");
    export_number(exporting, c->value, out);
    text_char(out, python ? ',' : ';');
    write_status(exporting, c);
    text_char(out, '\n');
  }
  if (python)
    text_format(out, "    }.get(%s, math.nan)\n\n\n", column);
  else
    text_add(out, "  return NAN;\n}\n\n");
}

// ---- helpers ----

// Python raises where the double-precision arithmetic of the law continues with infinities and NaN.
static void python_helpers(const struct exporting *exporting) {
  static const struct {
    unsigned helper;
    const char *text;
  } helpers[] = {
      {HELPER_DIVIDE,
       "def _div(a, b):\n"
       "    if b == 0:\n"
       "        return math.nan if a == 0 or a != a else math.copysign(math.inf, a) * math.copysign(1.0, b)\n"
       "    return a / b\n\n\n"},
      {HELPER_POWER,
       "def _pow(a, b):\n"
       "    try:\n"
       "        return math.pow(a, b)\n"
       "    except OverflowError:\n"
       "        return -math.inf if a < 0 and math.fmod(b, 2.0) != 0 else math.inf\n"
       "    except ValueError:\n"
       "        return math.inf if a == 0 else math.nan\n\n\n"},
      {HELPER_EXP,
       "def _exp(a):\n"
       "    try:\n"
       "        return math.exp(a)\n"
       "    except OverflowError:\n"
       "        return math.inf\n\n\n"},
      {HELPER_LOG,
       "def _log(a, function=math.log):\n"
       "    if a == 0:\n"
       "        return -math.inf\n"
       "    return function(a) if a > 0 else math.nan\n\n\n"},
      {HELPER_SQRT, "def _sqrt(a):\n    return math.sqrt(a) if a >= 0 else math.nan\n\n\n"},
      {HELPER_MODULO,
       "def _mod(a, b):\n"
       "    return math.fmod(a, b) if b != 0 and math.isfinite(a) else math.nan\n\n\n"},
      {HELPER_FLOOR,
       "def _whole(function, a):\n"
       "    return float(function(a)) if math.isfinite(a) else a\n\n\n"},
      {HELPER_ROUND,
       "def _round(a):\n"
       "    if not math.isfinite(a):\n"
       "        return a\n"
       "    low = math.floor(abs(a))\n"
       "    return math.copysign(float(low + (abs(a) - low >= 0.5)), a)\n\n\n"},
      {HELPER_LOGSUMEXP,
       "def _logsumexp(*values):\n"
       "    top = max(values)\n"
       "    if not math.isfinite(top):\n"
       "        return top\n"
       "    return top + math.log(sum(math.exp(value - top) for value in values))\n\n\n"}};
  for (size_t i = 0; i < sizeof helpers / sizeof *helpers; i++)
    if (exporting->helpers & helpers[i].helper) text_add(exporting->out, helpers[i].text);
}

static void c_helpers(const struct exporting *exporting, const char *function) {
  if (!(exporting->helpers & HELPER_LOGSUMEXP)) return;
  text_format(exporting->out,
              "static double %s_logsumexp(int count, const double *values) {\n"
              "  double top = values[0], sum = 0;\n"
              "  for (int i = 1; i < count; i++) top = fmax(top, values[i]);\n"
              "  if (!isfinite(top)) return top;\n"
              "  for (int i = 0; i < count; i++) sum += exp(values[i] - top);\n"
              "  return top + log(sum);\n"
              "}\n\n",
              function);
}

// ---- functions ----

static void write_constants(struct exporting *exporting) {
  bool python = exporting->language == EXPORT_PYTHON;
  for (size_t i = 0; i < exporting->count; i++) {
    const struct coefficient *c = &exporting->coefficients[i];
    bool used = false;
    for (int n = 0; n < exporting->law->formula->name_count; n++)
      used |= strcmp(exporting->law->formula->names[n].name, c->parameter) == 0;
    if (c->category || !used) continue;
    text_format(exporting->out,
                python ? "    %s = " : "  const double %s = ", export_parameter(exporting, c->parameter));
    export_number(exporting, c->value, exporting->out);
    text_add(exporting->out, python ? "" : ";");
    write_status(exporting, c);
    text_char(exporting->out, '\n');
  }
}

// The lines of a text as comments.
static void write_comment(struct exporting *exporting, const char *text) {
  bool python = exporting->language == EXPORT_PYTHON;
  for (const char *at = text; *at;) {
    size_t length = strcspn(at, "\n");
    bool continued = length && at[length - 1] == '\\';  // would continue in the next line
    text_format(exporting->out, "%s %.*s%s\n", python ? "#" : "//", (int)length, at, continued ? "." : "");
    at += length + (at[length] == '\n');
  }
}

static bool known_coefficients(struct exporting *exporting) {
  for (int n = 0; n < exporting->law->formula->name_count; n++) {
    const struct expression_name *name = &exporting->law->formula->names[n];
    int p = law_find_parameter(exporting->law, name->name);
    bool found = p < 0 || exporting->law->parameters[p].by;
    for (size_t i = 0; i < exporting->count && !found; i++)
      found = strcmp(exporting->coefficients[i].parameter, name->name) == 0;
    if (!found)
      return error_set(exporting->error, EXIT_USAGE_ERROR, "the parameter %s of the law %s has no value", name->name,
                       exporting->law->name);
  }
  return true;
}

static bool write_function(struct exporting *exporting, const char *name, const char *about) {
  const struct law *law = exporting->law;
  struct text body = {0}, *out = exporting->out;
  bool python = exporting->language == EXPORT_PYTHON, texts = false;
  const char *function = export_identifier(exporting, name);
  if (!export_expression(exporting, law->formula->root, &body)) {
    text_free(&body);
    return false;
  }
  write_comment(exporting, about);
  for (int c = 0; c < law->column_count; c++) texts |= exporting->textual[c];
  text_format(out, "%s%s\n", python ? "import math\n\n" : "#include <math.h>\n",
              python  ? ""
              : texts ? "#include <string.h>\n"
                      : "");
  if (python)
    python_helpers(exporting);
  else
    c_helpers(exporting, function);
  for (int p = 0; p < law->parameter_count; p++)
    if (law->parameters[p].by) write_lookup(exporting, function, &law->parameters[p]);
  text_format(out, python ? "def %s(" : "double %s(", function);
  for (int c = 0; c < law->column_count; c++)
    text_format(out, "%s%s%s", c ? ", " : "",
                python                  ? ""
                : exporting->textual[c] ? "const char *"
                                        : "double ",
                export_column(exporting, law->columns[c]));
  text_add(out, python ? "):\n" : law->column_count ? ") {\n" : "void) {\n");
  if (python) text_format(out, "    \"\"\"%s = %s\"\"\"\n", law->target, export_identifier(exporting, law->name));
  write_constants(exporting);
  text_add(out, python ? "    return " : "  return ");
  for (const char *at = text_string(&body); *at; at++)
    if (*at == EXPORT_FUNCTION)
      text_add(out, function);
    else
      text_char(out, *at);
  text_add(out, python ? "\n" : ";\n}\n");
  text_free(&body);
  return true;
}

bool law_export(const struct law *law, const struct exported *fitted, enum export_language language, const char *name,
                const char *about, struct text *out, struct error *error) {
  struct exporting exporting = {.law = law,
                                .coefficients = fitted->coefficients,
                                .count = fitted->coefficient_count,
                                .derived = fitted->derived,
                                .derived_count = fitted->derived_count,
                                .language = language,
                                .out = out,
                                .error = error};
  find_texts(&exporting);
  export_name(&exporting);
  bool fine = known_coefficients(&exporting) && (language == EXPORT_LATEX ? export_latex(&exporting, name, about)
                                                                          : write_function(&exporting, name, about));
  arena_free(&exporting.arena);
  return fine;
}
