#include <string.h>

#include "finetune-tools.h"

/* U+061C, U+200E and U+200F, U+2028 to U+202E, U+2066 to U+2069. */
static int bidirectional(unsigned a, unsigned b, unsigned c)
{
    if (a == 0xd8 && b == 0x9c)
        return 2;
    if (a == 0xe2 && b == 0x80 && (c == 0x8e || c == 0x8f || (c >= 0xa8 && c <= 0xae)))
        return 3;
    return a == 0xe2 && b == 0x81 && c >= 0xa6 && c <= 0xa9 ? 3 : 0;
}

int ft_control_length(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    const unsigned char a = s[0], b = a ? s[1] : 0, c = b ? s[2] : 0;
    if (a == 0xc2 && (b & 0xe0) == 0x80)
        return 2;
    return (a && a < 0x20) || a == 0x7f ? 1 : bidirectional(a, b, c);
}

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

char *ft_text_plain(char *text, const char *kept)
{
    char *to = text;
    for (const char *s = text; *s; s++) {
        const int n = ft_control_length(s);
        *to++ = n && !strchr(kept, *s) ? '?' : *s;
        s += n > 1 ? n - 1 : 0;
    }
    *to = 0;
    return text;
}
