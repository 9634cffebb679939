"""Conversations in the terms of others, and back. Strands' messages are the inner form. Pure; loads nobody's package.

openai_chat        OpenAI, Chat Completions       bedrock   Amazon Bedrock, Converse
openai_responses   OpenAI, Responses              gemini    Google, generateContent
anthropic          Anthropic, Messages            zep       Zep, threads
"""
