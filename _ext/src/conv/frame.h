/* One image copied to scratch with its zero border, so that what any tap sees of one output row is a contiguous run.
 *
 * Legend of this folder: images x (N, C, H, W), weights w (F, C, HH, WW), out (N, F, HO, WO); K = C * HH * WW taps, P =
 * HO * WO pixels.
 *
 * The copy is split by column modulo stride ("phases", no more than it has columns). A tap is then one offset into it,
 * and an output pixel another.
 */

/* An image with its border, and where taps find things in it. */
typedef struct {
    idx channels, height, width; /* of the image */
    idx top, left; /* zeros before it */
    idx padded_height, phases, phase_width; /* of the copy: (channels, padded_height, phases, phase_width) */
    idx stride;
} NAME(frame);

INLINE idx NAME(frame_size)(const NAME(frame) *f)
{
    return f->channels * f->padded_height * f->phases * f->phase_width;
}

/* Where row y and column x (counted from the border's corner) of a channel are; x may be a phase only. */
INLINE idx NAME(frame_at)(const NAME(frame) *f, idx channel, idx y, idx x)
{
    return ((channel * f->padded_height + y) * f->phases + x % f->stride) * f->phase_width + x / f->stride;
}

/* How far apart in the copy two output rows are. */
INLINE idx NAME(frame_row_step)(const NAME(frame) *f) { return f->stride * f->phases * f->phase_width; }

/* IN x (channels, height, width); OUT copy. Returns copy, or x itself where the two would be equal. */
static const real *NAME(fill_frame)(const NAME(frame) *f, const real *x, real *copy)
{
    idx s = f->stride;
    if (s == 1 && f->padded_height == f->height && f->phase_width == f->width) return x;
    memset(copy, 0, NAME(frame_size)(f) * sizeof(real));
    for (idx c = 0; c < f->channels; c++)
        for (idx y = 0; y < f->height; y++, x += f->width) {
            real *row = copy + NAME(frame_at)(f, c, f->top + y, 0);
            if (s == 1) {
                memcpy(row + f->left, x, f->width * sizeof(real));
                continue;
            }
            for (idx phase = 0; phase < f->phases; phase++) {
                idx first = (phase - f->left % s + s) % s; /* first column of the image that falls into this phase */
                real *to = row + phase * f->phase_width + (f->left + first) / s;
                for (idx i = first; i < f->width; i += s) *to++ = x[i];
            }
        }
    return copy;
}

/* Frame of the forward pass, which dw shares, and its taps in the order of the weights. */
static NAME(frame) NAME(input_frame)(const sdl_conv *s)
{
    return (NAME(frame)){ .channels = s->c,
                          .height = s->h,
                          .width = s->w,
                          .top = s->pad,
                          .left = s->pad,
                          .padded_height = s->h + 2 * s->pad,
                          .phases = MIN(s->stride, s->w + 2 * s->pad),
                          .phase_width = CEIL_DIV(s->w + 2 * s->pad, s->stride),
                          .stride = s->stride };
}

static void NAME(input_taps)(const sdl_conv *s, const NAME(frame) *frame, idx *taps)
{
    for (idx c = 0; c < s->c; c++)
        for (idx y = 0; y < s->hh; y++)
            for (idx x = 0; x < s->ww; x++) *taps++ = NAME(frame_at)(frame, c, y, x);
}
