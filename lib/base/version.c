#include "finetune.h"

const char *ft_version(void)
{
    return FT_VERSION;
}
