#include "textflag.h"

// Sixteen messages are two groups of eight whose steps take turns, so that
// one computes while the other waits for its own last step.
//
//	Y0-Y3    a, b, c, d of lanes 0-7
//	Y4-Y7    a, b, c, d of lanes 8-15
//	Y8-Y14   scratch
//	Y15      ones in every bit
//	DI SI BX sums, arena, group; R8 the sines
//	DX       scratch of 64 octets a word, aligned: the words of the block,
//	         then a, b, c, d in front of it, then the lanes that have it
#define SAVED 1024
#define ACTIVE 1280

// The functions of RFC 1321 3.4 added to a. What does not need b comes first:
// it is off the chain from step to step. G is a sum because no bit is in both
// of its halves.
#define F(a, b, c, d) \
	VPXOR  c, d, Y9;  \
	VPAND  b, Y9, Y9; \
	VPXOR  d, Y9, Y9; \
	VPADDD Y9, a, a

#define G(a, b, c, d) \
	VPANDN c, d, Y10;  \
	VPADDD Y10, a, a;  \
	VPAND  b, d, Y9;   \
	VPADDD Y9, a, a

#define H(a, b, c, d) \
	VPXOR  c, d, Y9;  \
	VPXOR  b, Y9, Y9; \
	VPADDD Y9, a, a

#define I(a, b, c, d) \
	VPXOR  Y15, d, Y9; \
	VPOR   b, Y9, Y9;  \
	VPXOR  c, Y9, Y9;  \
	VPADDD Y9, a, a

#define STEP(f, a, b, c, d, m, k, s) \
	VPBROADCASTD (4*(k))(R8), Y8; \
	VPADDD       m, Y8, Y8;     \
	VPADDD       Y8, a, a;      \
	f(a, b, c, d);              \
	VPSLLD       $s, a, Y8;     \
	VPSRLD       $(32-s), a, a; \
	VPOR         Y8, a, a;      \
	VPADDD       b, a, a

#define STEPS(f, k, m0, m1, m2, m3, s0, s1, s2, s3) \
	STEP(f, Y0, Y1, Y2, Y3, (64*m0)(DX), k+0, s0);    \
	STEP(f, Y4, Y5, Y6, Y7, (64*m0+32)(DX), k+0, s0); \
	STEP(f, Y3, Y0, Y1, Y2, (64*m1)(DX), k+1, s1);    \
	STEP(f, Y7, Y4, Y5, Y6, (64*m1+32)(DX), k+1, s1); \
	STEP(f, Y2, Y3, Y0, Y1, (64*m2)(DX), k+2, s2);    \
	STEP(f, Y6, Y7, Y4, Y5, (64*m2+32)(DX), k+2, s2); \
	STEP(f, Y1, Y2, Y3, Y0, (64*m3)(DX), k+3, s3);    \
	STEP(f, Y5, Y6, Y7, Y4, (64*m3+32)(DX), k+3, s3)

// FLIP transposes four rows of four words in each half of the registers.
#define FLIP(a, b, c, d) \
	VPUNPCKLDQ  b, a, Y12;   \
	VPUNPCKHDQ  b, a, Y13;   \
	VPUNPCKLDQ  d, c, Y14;   \
	VPUNPCKHDQ  d, c, Y11;   \
	VPUNPCKLQDQ Y14, Y12, a; \
	VPUNPCKHQDQ Y14, Y12, b; \
	VPUNPCKLQDQ Y11, Y13, c; \
	VPUNPCKHQDQ Y11, Y13, d

// OFFSETS takes eight offsets out of the group.
#define OFFSETS(at) \
	MOVL (at+0)(BX), AX;   \
	MOVL (at+4)(BX), CX;   \
	MOVL (at+8)(BX), R9;   \
	MOVL (at+12)(BX), R10; \
	MOVL (at+16)(BX), R11; \
	MOVL (at+20)(BX), R12; \
	MOVL (at+24)(BX), R13; \
	MOVL (at+28)(BX), R15

// GATHER takes four words of eight rows, SCATTER puts them back.
#define GATHER(base, at, x0, x1, x2, x3, y0, y1, y2, y3) \
	VMOVDQU     (at)(base)(AX*1), x0;          \
	VMOVDQU     (at)(base)(CX*1), x1;          \
	VMOVDQU     (at)(base)(R9*1), x2;          \
	VMOVDQU     (at)(base)(R10*1), x3;         \
	VINSERTI128 $1, (at)(base)(R11*1), y0, y0; \
	VINSERTI128 $1, (at)(base)(R12*1), y1, y1; \
	VINSERTI128 $1, (at)(base)(R13*1), y2, y2; \
	VINSERTI128 $1, (at)(base)(R15*1), y3, y3; \
	FLIP(y0, y1, y2, y3)

#define SCATTER(x0, x1, x2, x3, y0, y1, y2, y3) \
	FLIP(y0, y1, y2, y3);                \
	VMOVDQU      x0, (DI)(AX*1);         \
	VMOVDQU      x1, (DI)(CX*1);         \
	VMOVDQU      x2, (DI)(R9*1);         \
	VMOVDQU      x3, (DI)(R10*1);        \
	VEXTRACTI128 $1, y0, (DI)(R11*1);    \
	VEXTRACTI128 $1, y1, (DI)(R12*1);    \
	VEXTRACTI128 $1, y2, (DI)(R13*1);    \
	VEXTRACTI128 $1, y3, (DI)(R15*1)

// WORDS puts words word to word+3 of eight lanes where the steps look.
#define WORDS(word, half) \
	GATHER(SI, 4*word, X0, X1, X2, X3, Y0, Y1, Y2, Y3); \
	VMOVDQA Y0, (64*word+half)(DX);     \
	VMOVDQA Y1, (64*word+64+half)(DX);  \
	VMOVDQA Y2, (64*word+128+half)(DX); \
	VMOVDQA Y3, (64*word+192+half)(DX)

// ADVANCE says which of eight lanes have this block. A lane that has another
// one goes on to it. The others stay where they are, so that they read
// nothing beyond their message. Y10 gathers the blocks left.
#define ADVANCE(half) \
	VMOVDQU  (128+half)(BX), Y8;    \
	VPXOR    Y9, Y9, Y9;            \
	VPCMPGTD Y9, Y8, Y11;           \
	VMOVDQA  Y11, (ACTIVE+half)(DX); \
	VPADDD   Y11, Y8, Y8;           \
	VMOVDQU  Y8, (128+half)(BX);    \
	VPOR     Y8, Y10, Y10;          \
	VPCMPGTD Y9, Y8, Y11;           \
	VPSLLD   $6, Y11, Y11;          \
	VMOVDQU  (64+half)(BX), Y8;     \
	VPSUBD   Y11, Y8, Y8;           \
	VMOVDQU  Y8, (64+half)(BX)

// CHAIN adds a word in front of the block to the one behind it, in the lanes
// that have the block.
#define CHAIN(y, at, active) \
	VPAND   active, y, y; \
	VPADDD  (at)(DX), y, y; \
	VMOVDQA y, (at)(DX)

// The frame is the scratch and what aligning it may cost: 1344 and 32.
//
// func blocksAVX2(sums *[16]byte, arena *byte, work *group)
TEXT ·blocksAVX2(SB), 0, $1376-24
	MOVQ     sums+0(FP), DI
	MOVQ     arena+8(FP), SI
	MOVQ     work+16(FP), BX
	LEAQ     ·sines(SB), R8
	LEAQ     31(SP), DX
	ANDQ     $~31, DX
	VPCMPEQD Y15, Y15, Y15

	OFFSETS(0)
	GATHER(DI, 0, X0, X1, X2, X3, Y0, Y1, Y2, Y3)
	VMOVDQA Y0, (SAVED+0)(DX)
	VMOVDQA Y1, (SAVED+64)(DX)
	VMOVDQA Y2, (SAVED+128)(DX)
	VMOVDQA Y3, (SAVED+192)(DX)
	OFFSETS(32)
	GATHER(DI, 0, X4, X5, X6, X7, Y4, Y5, Y6, Y7)
	VMOVDQA Y4, (SAVED+32)(DX)
	VMOVDQA Y5, (SAVED+96)(DX)
	VMOVDQA Y6, (SAVED+160)(DX)
	VMOVDQA Y7, (SAVED+224)(DX)

block:
	OFFSETS(64)
	WORDS(0, 0)
	WORDS(4, 0)
	WORDS(8, 0)
	WORDS(12, 0)
	OFFSETS(96)
	WORDS(0, 32)
	WORDS(4, 32)
	WORDS(8, 32)
	WORDS(12, 32)

	VPXOR  Y10, Y10, Y10
	ADVANCE(0)
	ADVANCE(32)
	VPTEST Y10, Y10
	SETNE  AX

	VMOVDQA (SAVED+0)(DX), Y0
	VMOVDQA (SAVED+64)(DX), Y1
	VMOVDQA (SAVED+128)(DX), Y2
	VMOVDQA (SAVED+192)(DX), Y3
	VMOVDQA (SAVED+32)(DX), Y4
	VMOVDQA (SAVED+96)(DX), Y5
	VMOVDQA (SAVED+160)(DX), Y6
	VMOVDQA (SAVED+224)(DX), Y7

	STEPS(F, 0, 0, 1, 2, 3, 7, 12, 17, 22)
	STEPS(F, 4, 4, 5, 6, 7, 7, 12, 17, 22)
	STEPS(F, 8, 8, 9, 10, 11, 7, 12, 17, 22)
	STEPS(F, 12, 12, 13, 14, 15, 7, 12, 17, 22)

	STEPS(G, 16, 1, 6, 11, 0, 5, 9, 14, 20)
	STEPS(G, 20, 5, 10, 15, 4, 5, 9, 14, 20)
	STEPS(G, 24, 9, 14, 3, 8, 5, 9, 14, 20)
	STEPS(G, 28, 13, 2, 7, 12, 5, 9, 14, 20)

	STEPS(H, 32, 5, 8, 11, 14, 4, 11, 16, 23)
	STEPS(H, 36, 1, 4, 7, 10, 4, 11, 16, 23)
	STEPS(H, 40, 13, 0, 3, 6, 4, 11, 16, 23)
	STEPS(H, 44, 9, 12, 15, 2, 4, 11, 16, 23)

	STEPS(I, 48, 0, 7, 14, 5, 6, 10, 15, 21)
	STEPS(I, 52, 12, 3, 10, 1, 6, 10, 15, 21)
	STEPS(I, 56, 8, 15, 6, 13, 6, 10, 15, 21)
	STEPS(I, 60, 4, 11, 2, 9, 6, 10, 15, 21)

	VMOVDQA (ACTIVE+0)(DX), Y8
	VMOVDQA (ACTIVE+32)(DX), Y9
	CHAIN(Y0, SAVED+0, Y8)
	CHAIN(Y1, SAVED+64, Y8)
	CHAIN(Y2, SAVED+128, Y8)
	CHAIN(Y3, SAVED+192, Y8)
	CHAIN(Y4, SAVED+32, Y9)
	CHAIN(Y5, SAVED+96, Y9)
	CHAIN(Y6, SAVED+160, Y9)
	CHAIN(Y7, SAVED+224, Y9)
	TESTB   AX, AX
	JNE     block

	OFFSETS(0)
	SCATTER(X0, X1, X2, X3, Y0, Y1, Y2, Y3)
	OFFSETS(32)
	SCATTER(X4, X5, X6, X7, Y4, Y5, Y6, Y7)
	VZEROUPPER
	RET
