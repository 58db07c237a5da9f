// The column `compression` in SQL, over a run r: how its weights came to be compressed, in its training, in a further
// one and after them. "none", "w4", "gptq:int4-g32", "w8+rtn:w4", "sparsegpt:2:4+tune:2:4", "gptq:evopress3",
// "structure:darwin0.5+tune:none".
#pragma once
#include "results/setting_sql.h"

#define BEGINS SETTING("tune.after") " = '" TUNE_INITIAL "'"  // the further training is the first of these weights
#define TRAINED "CASE WHEN " BEGINS " THEN " SETTING("tune.format") " ELSE " SETTING("format") " END"
#define METHOD SETTING("compress.method")
#define FORMAT SETTING("compress.format")
#define PATTERN SETTING("compress.pattern")
#define SPARSITY SETTING("compress.sparsity")
#define ALLOCATED SETTING("compress.allocate.method")
#define BUDGET SETTING("compress.allocate.budget_bits")
#define HIGGS "'p' || " SETTING("compress.p") " || 'n' || " SETTING("compress.n")
#define AFTER SETTING("tune.after")

#define SEARCHED SETTING("search.method")
#define SEARCHED_FOR                                                                                            \
  "CASE " SETTING("search.space") " WHEN 'bits' THEN " SETTING("search.bits") " WHEN 'sparsity' THEN " SETTING( \
      "search.sparsity") " ELSE " SETTING("search.keep") " END"
#define SEARCHED_BY                                                                                                    \
  "CASE WHEN " SETTING("search.space") " IN ('bits', 'sparsity') THEN " SETTING("search.compressor") " ELSE " SETTING( \
      "search.space") " END"
#define NOT_SEARCHED "coalesce(" SEARCHED ", 'none') = 'none'"
#define FOUND \
  "CASE WHEN " NOT_SEARCHED " THEN '' ELSE '+' || " SEARCHED_BY " || ':' || " SEARCHED " || " SEARCHED_FOR " END"

#define PRUNED "CASE WHEN " PATTERN " <> '' THEN " PATTERN " ELSE " SPARSITY " END || "
#define PRUNED_FORMAT "CASE WHEN " FORMAT " <> 'none' THEN ':' || " FORMAT " ELSE '' END "
#define TO_WHAT_1 "CASE WHEN coalesce(" ALLOCATED ", 'none') <> 'none' THEN " ALLOCATED " || " BUDGET " "
#define TO_WHAT_2 "WHEN " METHOD " = 'higgs' THEN " HIGGS " "
#define TO_WHAT_3 "WHEN " METHOD " IN ('magnitude', 'sparsegpt', 'elsa') THEN " PRUNED PRUNED_FORMAT
#define TO_WHAT TO_WHAT_1 TO_WHAT_2 TO_WHAT_3 "ELSE " FORMAT " END"
#define NOT_COMPRESSED "coalesce(" METHOD ", 'none') = 'none'"
#define COMPRESSED "CASE WHEN " NOT_COMPRESSED " THEN '' ELSE '+' || " METHOD " || ':' || " TO_WHAT " END"
#define TUNED(when) "CASE WHEN " AFTER when " THEN '+tune:' || " SETTING("tune.format") " ELSE '' END"
#define TUNED_BEFORE TUNED(" NOT IN ('', '" TUNE_INITIAL "', 'compress')")
#define TUNED_BEHIND TUNED(" = 'compress'")
#define WAYS \
  "coalesce(nullif(" TRAINED ", 'none'), '') || " FOUND " || " TUNED_BEFORE " || " COMPRESSED " || " TUNED_BEHIND

#define COMPRESSION_SQL "coalesce(nullif(ltrim(" WAYS ", '+'), ''), 'none')"
