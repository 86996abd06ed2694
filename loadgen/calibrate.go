package loadgen

// Calibration maps prompt lengths in tokens, by one server's count for one
// model, to lengths in text units (words and full stops). The zero Calibration
// takes one unit for one token. It is JSON, to be kept per server and model.
type Calibration struct {
	// TokensPerUnit and OverheadTokens are the affine map
	// tokens = OverheadTokens + TokensPerUnit × units; the overhead is what a
	// chat template or a start token adds.
	TokensPerUnit  float64 `json:"tokens_per_unit"`
	OverheadTokens float64 `json:"overhead_tokens"`
	// Points are the lengths that were searched for one by one, by rising Tokens.
	Points []CalibrationPoint `json:"points,omitempty"`
	// MaxErr is the largest |reported − asked| / asked over the points, checked
	// on other text than was searched with; 0.01 is 1 %.
	MaxErr float64 `json:"max_err"`
}

// CalibrationPoint is one corrected length.
type CalibrationPoint struct {
	Tokens   int `json:"tokens"`   // asked for
	Units    int `json:"units"`    // text that comes nearest
	Reported int `json:"reported"` // tokens the server counted for fresh text of that size
}
