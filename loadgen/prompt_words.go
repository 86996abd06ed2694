package loadgen

// The words of the text source: short common English, each of which, with a
// space before it, is one token in the cl100k, o200k, r50k and p50k vocabularies
// (and so in Llama 3's, which extends cl100k). All of nouns, adjectives and
// verbs are distinct, because a nonce is spelled with them.

// nouns fill 8 bits of choice.
var nouns = [256]string{
	"river", "house", "garden", "window", "teacher", "doctor", "market", "village", "station",
	"kitchen", "morning", "evening", "winter", "summer", "road", "bridge", "train", "boat", "ship",
	"wheel", "engine", "paper", "letter", "book", "story", "song", "picture", "mirror", "table",
	"chair", "door", "wall", "roof", "floor", "room", "street", "city", "town", "country", "field",
	"farm", "forest", "mountain", "valley", "hill", "lake", "ocean", "island", "beach", "stone", "rock",
	"sand", "water", "fire", "smoke", "wind", "rain", "snow", "storm", "cloud", "sky", "sun", "moon",
	"star", "earth", "world", "tree", "leaf", "flower", "grass", "seed", "fruit", "apple", "bread",
	"butter", "cheese", "milk", "coffee", "tea", "sugar", "salt", "meat", "fish", "bird", "horse",
	"dog", "cat", "cow", "sheep", "lion", "bear", "wolf", "mouse", "snake", "spider", "child", "boy",
	"girl", "man", "woman", "mother", "father", "brother", "sister", "son", "daughter", "friend",
	"neighbor", "guest", "stranger", "king", "queen", "prince", "soldier", "captain", "sailor",
	"farmer", "driver", "writer", "artist", "singer", "player", "student", "judge", "lawyer", "nurse",
	"worker", "builder", "hunter", "baker", "hero", "leader", "master", "servant", "voice", "hand",
	"head", "face", "eye", "ear", "mouth", "nose", "arm", "leg", "foot", "finger", "heart", "hair",
	"tooth", "shoulder", "knee", "coat", "hat", "shirt", "shoe", "dress", "pocket", "button", "ring",
	"watch", "clock", "lamp", "candle", "bottle", "cup", "plate", "knife", "bowl", "box", "bag",
	"basket", "lock", "hammer", "brush", "pen", "pencil", "desk", "bed", "blanket", "pillow", "curtain",
	"shelf", "drawer", "camera", "radio", "phone", "computer", "machine", "tool", "tower", "castle",
	"church", "temple", "school", "college", "library", "museum", "theater", "hotel", "office",
	"factory", "shop", "store", "bank", "hospital", "airport", "harbor", "park", "corner", "path",
	"gate", "fence", "yard", "tunnel", "planet", "map", "card", "game", "ball", "bell", "piano",
	"guitar", "violin", "dance", "party", "dinner", "lunch", "breakfast", "supper", "meal", "holiday",
	"journey", "trip", "flight", "voyage", "message", "question", "answer", "secret", "promise",
	"dream", "idea", "lesson", "number", "word", "name", "line", "circle", "shape", "color", "shadow",
	"silence", "speech", "gift", "team", "crowd",
}

// adjectives fill 7 bits of choice.
var adjectives = [128]string{
	"old", "young", "small", "large", "little", "tall", "short", "long", "wide", "narrow", "deep",
	"thin", "thick", "heavy", "bright", "dark", "warm", "cold", "hot", "cool", "dry", "wet", "soft",
	"hard", "smooth", "rough", "sharp", "flat", "round", "empty", "full", "open", "clean", "quiet",
	"loud", "calm", "busy", "brave", "shy", "proud", "humble", "kind", "gentle", "honest", "clever",
	"wise", "happy", "sad", "angry", "lonely", "tired", "hungry", "sleepy", "healthy", "strong", "weak",
	"rich", "poor", "famous", "strange", "common", "rare", "simple", "plain", "fancy", "modern",
	"ancient", "early", "late", "quick", "slow", "sudden", "steady", "sweet", "sour", "bitter", "fresh",
	"ripe", "raw", "golden", "silver", "wooden", "iron", "green", "blue", "red", "yellow", "white",
	"black", "brown", "gray", "pink", "purple", "orange", "royal", "local", "distant", "nearby",
	"hidden", "broken", "lost", "curious", "careful", "polite", "serious", "funny", "nervous",
	"patient", "loyal", "noble", "grand", "tiny", "huge", "giant", "perfect", "fine", "good", "great",
	"pretty", "lovely", "wild", "tame", "free", "safe", "dangerous", "new", "final", "second",
}

// verbs, in the past tense, fill 7 bits of choice.
var verbs = [128]string{
	"saw", "heard", "found", "made", "took", "gave", "kept", "left", "held", "brought", "sent", "sold",
	"bought", "built", "drew", "wrote", "read", "taught", "told", "asked", "called", "helped",
	"watched", "followed", "carried", "pushed", "pulled", "lifted", "dropped", "threw", "caught",
	"moved", "turned", "opened", "closed", "locked", "cleaned", "washed", "painted", "fixed", "broke",
	"repaired", "covered", "filled", "emptied", "crossed", "passed", "reached", "entered", "visited",
	"joined", "met", "thanked", "praised", "blamed", "warned", "stopped", "started", "finished",
	"changed", "chose", "wanted", "needed", "liked", "loved", "feared", "trusted", "believed", "knew",
	"remembered", "forgot", "noticed", "ignored", "studied", "learned", "described", "mentioned",
	"explained", "showed", "offered", "accepted", "refused", "returned", "borrowed", "shared", "saved",
	"spent", "won", "counted", "measured", "weighed", "tested", "planned", "designed", "created",
	"destroyed", "hid", "wrapped", "tied", "cut", "burned", "cooked", "ate", "drank", "served",
	"ordered", "hunted", "chased", "fed", "rode", "drove", "sailed", "climbed", "shook", "touched",
	"kissed", "hugged", "led", "guided", "protected", "defended", "attacked", "surprised", "pleased",
	"worried", "confused", "admired", "respected",
}

// openers begin a sentence; 4 bits of choice.
var openers = [16]string{
	"The", "This", "That", "Every", "Each", "Some", "Another", "Any", "Our", "Your", "Their", "His",
	"Her", "My", "One", "No",
}

// determiners stand inside a sentence; 4 bits of choice.
var determiners = [16]string{
	"the", "this", "that", "every", "each", "some", "another", "any", "our", "your", "their", "his",
	"her", "my", "one", "no",
}

// prepositions fill 4 bits of choice.
var prepositions = [16]string{
	"near", "behind", "under", "above", "beside", "inside", "outside", "across", "along", "toward",
	"beyond", "before", "after", "with", "without", "against",
}
