#include <string.h>

#include "finetune-tools.h"

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

int ft_control_length(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    if (s[0] == 0xc2 && (s[1] & 0xe0) == 0x80) /* U+0080 to U+009F */
        return 2;
    return (s[0] && s[0] < 0x20) || s[0] == 0x7f;
}

char *ft_text_plain(char *text, const char *kept)
{
    for (char *s = text; *s; s++) {
        const int n = ft_control_length(s);
        if (n && !strchr(kept, *s))
            memset(s, '?', (size_t)n);
        s += n > 1;
    }
    return text;
}
