// See pages.h.
#include "runner/live/pages.h"

const char live_page[] =
#include "live_page.inc"
    ;
