"""The `POST /analyze` of a Presidio analyzer: its own engine and request, behind the route that its documentation gives."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import spacy
import tldextract
from presidio_analyzer import AnalyzerEngine, PatternRecognizer
from presidio_analyzer.analyzer_request import AnalyzerRequest
from presidio_analyzer.nlp_engine import SpacyNlpEngine

# Otherwise it asks the network for a newer list of suffixes than it brought along.
tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())


class Blank(SpacyNlpEngine):
    """Splits words and no more: a trained model is no package of an index, and its findings change with each version."""

    def __init__(self):
        super().__init__(models=[{"lang_code": "en", "model_name": "blank"}])

    def load(self):
        self.nlp = {"en": spacy.blank("en")}


nlp = Blank()
nlp.load()
engine = AnalyzerEngine(nlp_engine=nlp, supported_languages=["en"])
engine.registry.add_recognizer(
    PatternRecognizer(supported_entity="PERSON", deny_list=["Ada Lovelace", "김철수"])
)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        request = AnalyzerRequest(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        try:
            found = engine.analyze(
                text=request.text,
                language=request.language,
                score_threshold=request.score_threshold,
            )
            self.answer(200, [result.to_dict() for result in found])
        except Exception as error:
            self.answer(500, {"error": str(error)})

    def answer(self, status, document):
        body = json.dumps(document, default=lambda item: item.to_dict()).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
