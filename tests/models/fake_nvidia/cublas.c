#include <stddef.h>

size_t cublasLtGetVersion(void) { return 120804; }
