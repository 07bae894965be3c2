#include "finetune.h"

int ft_utf8_length(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    const unsigned char a = s[0], b = a ? s[1] : 0;
    if (a < 0x80)
        return 1;
    const bool two = a >= 0xc2 && a <= 0xdf, three = (a & 0xf0) == 0xe0,
               four = a >= 0xf0 && a <= 0xf4;
    if (!(two || three || four) || (b & 0xc0) != 0x80)
        return 0;
    if ((a == 0xe0 && b < 0xa0) || (a == 0xed && b > 0x9f) || (a == 0xf0 && b < 0x90) ||
        (a == 0xf4 && b > 0x8f))
        return 0;
    if (two)
        return 2;
    if ((s[2] & 0xc0) != 0x80)
        return 0;
    return three ? 3 : (s[3] & 0xc0) == 0x80 ? 4 : 0;
}
